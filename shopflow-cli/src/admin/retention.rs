//! `shopflow retention run|list`.

mod parts;
mod show;

use anyhow::{Context, anyhow};
use core_kernel::{RetentionRun, RunBy};

use super::actor::{ROLE, actor};
use super::place;
use crate::Failure;
use crate::cli::{RetentionCommand, RetentionListArgs, RetentionRunArgs};
use crate::config::{Problems, RetentionConfig};
use crate::serve::block_on;
use parts::{Part, Parts, parts};
use show::{Line, runs_table, show};

pub(crate) fn run(command: &RetentionCommand) -> Result<(), Failure> {
    block_on(async {
        match command {
            RetentionCommand::Run(args) => run_all(args).await,
            RetentionCommand::List(args) => list(args).await,
        }
    })
}

async fn run_all(args: &RetentionRunArgs) -> Result<(), Failure> {
    let mut problems = Problems::default();
    let place = args.place.check(&mut problems);
    let config = args.retention.check(&mut problems);
    let place = problems.finish(place)?;
    let Parts { parts, notes } = parts(&place, &config, !args.dry_run).await?;
    if args.dry_run {
        let mut lines = Vec::new();
        for part in &parts {
            let due = part.runs.due().await;
            let tally = due.with_context(|| part.failed())?;
            lines.push(Line::due(part.service, tally));
        }
        return show(args.output.output, true, &lines, &notes);
    }
    for part in &parts {
        part.can_run().await?;
    }
    let by = RunBy {
        id: actor(),
        role: ROLE,
    };
    let mut lines = Vec::new();
    for part in &parts {
        let ran = part.runs.run(&by).await;
        lines.push(match ran.with_context(|| part.failed())? {
            Some(run) => Line::of(&run),
            None => Line::busy(part.service),
        });
    }
    show(args.output.output, false, &lines, &notes)?;
    let problems: Vec<String> = lines.iter().filter_map(Line::problem).collect();
    match problems.is_empty() {
        true => Ok(()),
        false => Err(anyhow!(problems.join("; ")).into()),
    }
}

async fn list(args: &RetentionListArgs) -> Result<(), Failure> {
    let mut problems = Problems::default();
    let place = args.place.check(&mut problems);
    let place = problems.finish(place)?;
    let mut runs: Vec<RetentionRun> = Vec::new();
    for part in parts(&place, &RetentionConfig::default(), false)
        .await?
        .parts
    {
        let listed = part.runs.list(args.limit).await;
        runs.extend(listed.with_context(|| part.failed())?);
    }
    runs.sort_by_key(|run| std::cmp::Reverse((run.started_at, run.id)));
    runs_table(args.output.output, &runs)
}

impl Part {
    /// What to say when its database does not do its part.
    fn failed(&self) -> String {
        place::failed(self.service)
    }

    /// Refuses before anything is done what could only fail in the middle.
    async fn can_run(&self) -> Result<(), Failure> {
        if !self.needs_archive {
            return Ok(());
        }
        let due = self.runs.due().await.with_context(|| self.failed())?;
        match due.archived {
            0 => Ok(()),
            rows => {
                let why = format!("is required: {rows} notifications are to be archived");
                Err(Problems::one("RETENTION_ARCHIVE_URL", why).into())
            }
        }
    }
}
