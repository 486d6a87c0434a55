//! What is told of runs, to people and to programs.

use core_kernel::{Outcome, RetentionRun, Tally, wire_time};
use serde_json::{Value, json};

use crate::Failure;
use crate::admin::output::{listing, note, say, table, when, when_any};
use crate::cli::Output;

/// One service's part of a run.
pub(super) struct Line {
    service: String,
    outcome: &'static str,
    tally: Tally,
    error: Option<String>,
}

impl Line {
    /// What a run would do.
    pub(super) fn due(service: &str, tally: Tally) -> Self {
        Self {
            service: service.to_owned(),
            outcome: "due",
            tally,
            error: None,
        }
    }

    /// What a run did.
    pub(super) fn of(run: &RetentionRun) -> Self {
        Self {
            service: run.service.clone(),
            outcome: run.outcome.as_str(),
            tally: run.tally,
            error: run.error.clone(),
        }
    }

    /// Another has the turn.
    pub(super) fn busy(service: &str) -> Self {
        Self {
            outcome: "busy",
            error: Some("another run is under way".to_owned()),
            ..Self::due(service, Tally::default())
        }
    }

    /// Why it is not done.
    pub(super) fn problem(&self) -> Option<String> {
        let done = [Outcome::Done.as_str(), "due"].contains(&self.outcome);
        let error = self.error.as_deref().unwrap_or_default();
        (!done).then(|| format!("{}: {error}", self.service))
    }
}

const FIGURES: [&str; 4] = ["PURGED", "MASKED", "ARCHIVED", "PAST TERM"];

fn figures(tally: Tally) -> [String; 4] {
    [tally.purged, tally.masked, tally.archived, tally.past_term].map(|count| count.to_string())
}

fn json_figures(tally: Tally) -> Value {
    json!({
        "purged": tally.purged,
        "masked": tally.masked,
        "archived": tally.archived,
        "past_term": tally.past_term,
    })
}

fn with_figures(mut object: Value, tally: Tally) -> Value {
    if let (Value::Object(object), Value::Object(figures)) = (&mut object, json_figures(tally)) {
        object.extend(figures);
    }
    object
}

/// Shows what a run did, or would do.
pub(super) fn show(
    output: Output,
    dry_run: bool,
    lines: &[Line],
    notes: &[String],
) -> Result<(), Failure> {
    for text in notes {
        note(&format!("note: {text}"));
    }
    if output == Output::Json {
        let data: Vec<Value> = lines
            .iter()
            .map(|line| {
                let named = json!({
                    "service": line.service, "outcome": line.outcome, "error": line.error,
                });
                with_figures(named, line.tally)
            })
            .collect();
        return say(&json!({ "dry_run": dry_run, "data": data, "notes": notes }).to_string());
    }
    let rows = lines.iter().map(|line| {
        let mut row = vec![line.service.clone(), line.outcome.to_owned()];
        row.extend(figures(line.tally));
        row
    });
    let head = [&["SERVICE", "OUTCOME"], &FIGURES[..]].concat();
    say(&table(&head, rows.collect()))?;
    if dry_run {
        say("A dry run: nothing was changed.")?;
    }
    Ok(())
}

/// Shows the runs there were.
pub(super) fn runs_table(output: Output, runs: &[RetentionRun]) -> Result<(), Failure> {
    let data: Vec<Value> = runs.iter().map(json_run).collect();
    let rows = runs.iter().map(|run| {
        let mut row = vec![
            when(run.started_at),
            when_any(run.ended_at),
            run.service.clone(),
            run.actor.clone(),
            run.outcome.as_str().to_owned(),
        ];
        row.extend(figures(run.tally));
        row.push(run.error.clone().unwrap_or_default());
        row
    });
    let named = ["STARTED", "ENDED", "SERVICE", "ACTOR", "OUTCOME"];
    let head = [&named[..], &FIGURES, &["ERROR"]].concat();
    listing(output, &head, rows.collect(), data, None)
}

fn json_run(run: &RetentionRun) -> Value {
    let named = json!({
        "id": run.id,
        "service": run.service,
        "actor": run.actor,
        "started_at": wire_time::format(run.started_at),
        "ended_at": run.ended_at.map(wire_time::format),
        "outcome": run.outcome.as_str(),
        "error": run.error,
    });
    with_figures(named, run.tally)
}
