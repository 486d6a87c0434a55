//! Letters in files, one JSON document a line.

use std::io::Read;
use std::path::Path;

use anyhow::{Context, anyhow};
use core_notify::DeadLetter;
use indicatif::ProgressBar;
use serde_json::json;

use super::{failed, wire};
use crate::Failure;
use crate::admin::output::say;
use crate::cli::{DlqExportArgs, DlqImportArgs, Output};
use crate::config::Problems;

pub(super) async fn export(args: &DlqExportArgs) -> Result<(), Failure> {
    let mut problems = Problems::default();
    let filter = args.filter.check(&mut problems);
    let place = args.place.check(&mut problems);
    let place = problems.finish(place)?;
    let desk = place.open(&ProgressBar::hidden()).await?;
    let limit = args.limit.map(|limit| limit as usize);
    let letters = desk.list(&filter, limit).await.map_err(failed)?;
    for letter in &letters {
        say(&wire::whole(letter).to_string())?;
    }
    Ok(())
}

pub(super) async fn import(args: &DlqImportArgs) -> Result<(), Failure> {
    let mut problems = Problems::default();
    let place = args.place.check(&mut problems);
    let place = problems.finish(place)?;
    let letters = read(&args.file)?;
    let mut taken = 0;
    if !args.dry_run {
        let desk = place.open(&ProgressBar::hidden()).await?;
        let answers = desk.import(&letters).await.map_err(failed)?;
        taken = answers.into_iter().filter(|taken| *taken).count();
    }
    let matched = letters.len();
    let kept = if args.dry_run { 0 } else { matched - taken };
    match (args.output.output, args.dry_run) {
        (Output::Json, dry_run) => say(&json!({
            "action": "import", "dry_run": dry_run,
            "matched": matched, "moved": taken, "kept": kept,
        })
        .to_string())?,
        (Output::Table, true) => say(&format!("{matched} would be imported"))?,
        (Output::Table, false) => say(&format!("{taken} imported"))?,
    }
    match kept {
        0 => Ok(()),
        kept => Err(anyhow!("{kept} were not taken").into()),
    }
}

/// All of the file, or nothing: what is wrong with it is told before anything is done.
fn read(file: &Path) -> Result<Vec<DeadLetter>, Failure> {
    let shown = file.display();
    let mut text = String::new();
    let read = match file.as_os_str() == "-" {
        true => std::io::stdin().read_to_string(&mut text),
        false => std::fs::File::open(file).and_then(|mut file| file.read_to_string(&mut text)),
    };
    read.with_context(|| format!("{shown} cannot be read"))?;
    let lines = text.lines().enumerate();
    let lines = lines.filter(|(_, line)| !line.trim().is_empty());
    let letters = lines.map(|(number, line)| {
        let letter = wire::read(line);
        letter.map_err(|why| anyhow!("{shown}, line {}: {why}", number + 1))
    });
    Ok(letters.collect::<anyhow::Result<_>>()?)
}
