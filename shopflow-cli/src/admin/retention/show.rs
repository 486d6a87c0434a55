//! What is told of runs, to people and to programs.

use core_kernel::{Outcome, RetentionRun, Tally, wire_time};
use jiff::Timestamp;
use serde_json::{Value, json};

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
#[expect(clippy::print_stdout, reason = "a command tells people what it did")]
#[expect(clippy::print_stderr, reason = "what is no result is told beside it")]
pub(super) fn show(output: Output, dry_run: bool, lines: &[Line], notes: &[String]) {
    for note in notes {
        eprintln!("note: {note}");
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
        println!(
            "{}",
            json!({ "dry_run": dry_run, "data": data, "notes": notes })
        );
        return;
    }
    let rows = lines.iter().map(|line| {
        let mut row = vec![line.service.clone(), line.outcome.to_owned()];
        row.extend(figures(line.tally));
        row
    });
    print!(
        "{}",
        table(&[&["SERVICE", "OUTCOME"], &FIGURES[..]].concat(), rows)
    );
    if dry_run {
        println!("A dry run: nothing was changed.");
    }
}

/// Shows the runs there were.
#[expect(clippy::print_stdout, reason = "the listing is what was asked for")]
pub(super) fn runs_table(output: Output, runs: &[RetentionRun]) {
    if output == Output::Json {
        let data: Vec<Value> = runs.iter().map(json_run).collect();
        println!("{}", json!({ "data": data }));
        return;
    }
    let rows = runs.iter().map(|run| {
        let mut row = vec![
            time(Some(run.started_at)),
            time(run.ended_at),
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
    print!("{}", table(&head, rows));
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

fn time(at: Option<Timestamp>) -> String {
    at.map(wire_time::format).unwrap_or_default()
}

/// Columns as wide as their widest cell.
fn table(head: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut lines = vec![
        head.iter()
            .map(|cell| (*cell).to_owned())
            .collect::<Vec<_>>(),
    ];
    lines.extend(rows);
    let widths: Vec<usize> = (0..head.len())
        .map(|column| lines.iter().map(|line| line[column].chars().count()).max())
        .map(Option::unwrap_or_default)
        .collect();
    let mut text = String::new();
    for line in lines {
        let cells = line.iter().zip(&widths);
        let cells = cells.map(|(cell, width)| format!("{cell:width$}"));
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}
