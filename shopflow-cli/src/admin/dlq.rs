//! `shopflow dlq …`: what was given up, and what becomes of it.

mod files;
mod moving;
mod place;
mod wire;

use anyhow::anyhow;
use core_notify::{DeadLetter, LetterFilter};
use indicatif::ProgressBar;
use serde_json::json;

use super::output::{facts, listing, say, table, when};
use crate::Failure;
use crate::cli::{DlqCommand, DlqGroupArgs, DlqListArgs, DlqShowArgs, Output};
use crate::config::Problems;
use crate::serve::block_on;

pub(super) use place::LettersPlace;

const HEAD: [&str; 7] = [
    "MESSAGE", "QUEUE", "TYPE", "CLASS", "ATTEMPTS", "GIVEN UP", "REASON",
];

pub(crate) fn run(command: &DlqCommand) -> Result<(), Failure> {
    block_on(async {
        match command {
            DlqCommand::List(args) => list(args).await,
            DlqCommand::Group(args) => group(args).await,
            DlqCommand::Show(args) => show(args).await,
            DlqCommand::Replay(args) => moving::replay(args).await,
            DlqCommand::Purge(args) => moving::purge(args).await,
            DlqCommand::Discard(args) => moving::discard(args).await,
            DlqCommand::Export(args) => files::export(args).await,
            DlqCommand::Import(args) => files::import(args).await,
        }
    })
}

async fn list(args: &DlqListArgs) -> Result<(), Failure> {
    let mut problems = Problems::default();
    let filter = args.filter.check(&mut problems);
    let place = args.place.check(&mut problems);
    let place = problems.finish(place)?;
    let desk = place.open(&ProgressBar::hidden()).await?;
    // All are looked at in any case, so people may as well be told how many there are.
    let mut letters = desk.list(&filter, None).await.map_err(failed)?;
    let (total, limit) = (letters.len(), args.limit as usize);
    letters.truncate(limit);
    let more = (total > limit).then(|| format!("{limit} of {total}; see --limit"));
    let data = letters.iter().map(wire::summary).collect();
    listing(
        args.output.output,
        &HEAD,
        rows(letters.iter()),
        data,
        more.as_deref(),
    )
}

fn rows<'a>(letters: impl Iterator<Item = &'a DeadLetter>) -> Vec<Vec<String>> {
    let row = |letter: &DeadLetter| {
        vec![
            letter.message_id.clone(),
            letter.queue.clone(),
            letter.event_type.clone().unwrap_or_default(),
            letter.class.clone(),
            letter.attempts.to_string(),
            when(letter.failed_at),
            letter.reason.clone(),
        ]
    };
    letters.map(row).collect()
}

async fn group(args: &DlqGroupArgs) -> Result<(), Failure> {
    let mut problems = Problems::default();
    let filter = args.filter.check(&mut problems);
    let place = args.place.check(&mut problems);
    let place = problems.finish(place)?;
    let desk = place.open(&ProgressBar::hidden()).await?;
    let groups = desk.group(&filter).await.map_err(failed)?;
    let rows = groups.iter().map(|group| {
        vec![
            group.count.to_string(),
            group.queue.clone(),
            group.event_type.clone().unwrap_or_default(),
            group.class.clone(),
            when(group.oldest),
            when(group.newest),
            group.fingerprint.clone(),
        ]
    });
    let head = [
        "COUNT", "QUEUE", "TYPE", "CLASS", "OLDEST", "NEWEST", "CAUSE",
    ];
    let data = groups.iter().map(wire::group).collect();
    listing(args.output.output, &head, rows.collect(), data, None)
}

/// The last letter of that id, if an event was given up more than once.
async fn show(args: &DlqShowArgs) -> Result<(), Failure> {
    let mut problems = Problems::default();
    let place = args.place.check(&mut problems);
    let place = problems.finish(place)?;
    let desk = place.open(&ProgressBar::hidden()).await?;
    let filter = LetterFilter {
        message_ids: vec![args.message_id.clone()],
        ..LetterFilter::default()
    };
    let found = desk.list(&filter, None).await.map_err(failed)?;
    let letter = found.last().ok_or_else(|| unknown(&args.message_id))?;
    let notes = desk.log.notes_of(&args.message_id).await.map_err(failed)?;
    if args.output.output == Output::Json {
        let mut shown = wire::whole(letter);
        shown["notes"] = json!(notes.iter().map(wire::note).collect::<Vec<_>>());
        return say(&shown.to_string());
    }
    let channels: Vec<&str> = letter.channels.iter().map(|one| one.as_str()).collect();
    let order = letter.order_id().map(|id| id.to_string());
    say(&facts(&[
        ("Message", letter.message_id.clone()),
        ("Queue", letter.queue.clone()),
        ("Type", letter.event_type.clone().unwrap_or_default()),
        ("Order", order.unwrap_or_default()),
        ("Class", letter.class.clone()),
        ("Reason", letter.reason.clone()),
        ("Channels", channels.join(", ")),
        ("Attempts", letter.attempts.to_string()),
        ("First failed", when(letter.first_failed_at)),
        ("Given up", when(letter.failed_at)),
        ("Trace", letter.traceparent.clone().unwrap_or_default()),
        ("Event", String::from_utf8_lossy(&letter.body).into_owned()),
    ]))?;
    if notes.is_empty() {
        return Ok(());
    }
    let rows = notes.iter().map(|note| {
        vec![
            when(note.at),
            note.action.as_str().to_owned(),
            note.actor.clone(),
            note.reason.clone().unwrap_or_default(),
        ]
    });
    say(&format!(
        "\n{}",
        table(&["WHEN", "ACTION", "BY", "REASON"], rows.collect())
    ))
}

fn unknown(message_id: &str) -> Failure {
    Failure::NotFound(format!("there is no dead letter {message_id}"))
}

fn failed(error: core_notify::DeadLetterError) -> Failure {
    Failure::Failed(anyhow!(error))
}
