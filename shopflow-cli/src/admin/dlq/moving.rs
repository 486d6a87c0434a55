//! Letters that leave: replayed, purged or discarded.

use std::time::Duration;

use anyhow::anyhow;
use core_notify::{DeadLetterDesk, Fate, LetterFilter, Redrive, Step};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use tokio::time::Instant;

use super::{HEAD, failed, rows, unknown};
use crate::Failure;
use crate::admin::confirm;
use crate::admin::output::{note, say, table};
use crate::cli::{
    DlqDiscardArgs, DlqPurgeArgs, DlqReplayArgs, FilterArgs, LettersArgs, MoveArgs, Output,
};
use crate::config::Problems;

/// One order to move letters.
struct Order {
    fate: Fate,
    filter: LetterFilter,
    moving: MoveArgs,
    output: Output,
    /// The word that tells what happens, and the one that tells what has.
    words: [&'static str; 2],
    /// Whether `--yes` was given, where it has to be.
    yes: bool,
}

pub(super) async fn replay(args: &DlqReplayArgs) -> Result<(), Failure> {
    let order = |filter| Order {
        fate: Fate::Replay,
        filter,
        moving: args.moving,
        output: args.output.output,
        words: ["replay", "replayed"],
        // Nothing is lost by it.
        yes: true,
    };
    carry_out(order, &args.place, Some(&args.filter), &args.message_ids).await
}

pub(super) async fn purge(args: &DlqPurgeArgs) -> Result<(), Failure> {
    let order = |filter| Order {
        fate: Fate::Discard(None),
        filter,
        moving: args.moving,
        output: args.output.output,
        words: ["purge", "purged"],
        yes: args.yes.yes,
    };
    carry_out(order, &args.place, Some(&args.filter), &[]).await
}

pub(super) async fn discard(args: &DlqDiscardArgs) -> Result<(), Failure> {
    let order = |filter| Order {
        fate: Fate::Discard(Some(args.reason.clone())),
        filter,
        moving: MoveArgs {
            limit: None,
            rate: None,
            dry_run: args.dry_run,
        },
        output: args.output.output,
        words: ["discard", "discarded"],
        yes: args.yes.yes,
    };
    carry_out(order, &args.place, None, &args.message_ids).await
}

async fn carry_out(
    order: impl FnOnce(LetterFilter) -> Order,
    place: &LettersArgs,
    filter: Option<&FilterArgs>,
    message_ids: &[String],
) -> Result<(), Failure> {
    let mut problems = Problems::default();
    let filter = filter.map(|filter| filter.check(&mut problems));
    let place = place.check(&mut problems);
    let place = problems.finish(place)?;
    let order = order(LetterFilter {
        message_ids: message_ids.to_vec(),
        ..filter.unwrap_or_default()
    });
    // Hidden where standard error is no terminal.
    let bar = ProgressBar::new(0).with_style(style());
    let desk = place.open(&bar).await?;
    let mut redrive = order.begin(&desk).await?;
    let done = order.run(&mut redrive, &bar).await;
    bar.finish_and_clear();
    let ended = redrive.end().await;
    done?;
    ended.map_err(failed)
}

fn style() -> ProgressStyle {
    let template = "{wide_bar} {pos}/{len} {per_sec} {eta}";
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

impl Order {
    /// Takes the letters in hand. Of those that were named none may be missing.
    async fn begin(&self, desk: &DeadLetterDesk) -> Result<Redrive, Failure> {
        let limit = self.moving.limit.map(|limit| limit as usize);
        let fate = self.fate.clone();
        let begun = desk.begin(fate, self.filter.clone(), limit).await;
        let redrive = begun.map_err(failed)?;
        for id in &self.filter.message_ids {
            if !redrive.letters().any(|letter| letter.message_id == *id) {
                redrive.end().await.map_err(failed)?;
                return Err(unknown(id));
            }
        }
        Ok(redrive)
    }

    async fn run(&self, redrive: &mut Redrive, bar: &ProgressBar) -> Result<(), Failure> {
        let matched = redrive.letters().count();
        if self.moving.dry_run {
            return self.dry_run(redrive, matched);
        }
        if matched > 0 && !self.yes {
            if self.output == Output::Table {
                note(&table(&HEAD, rows(redrive.letters().take(SHOWN))));
            }
            let word = self.words[0];
            confirm(&format!("{word} {matched} dead letters for good?"), false)?;
        }
        bar.set_length(matched as u64);
        let mut done = Step::default();
        let stopped = self.steps(redrive, bar, &mut done).await;
        self.tell(matched, done)?;
        stopped?;
        match done.kept {
            0 => Ok(()),
            kept => Err(anyhow!(
                "{kept} were not taken, since their queue is full or somebody else was faster; they stay"
            )
            .into()),
        }
    }

    async fn steps(
        &self,
        redrive: &mut Redrive,
        bar: &ProgressBar,
        done: &mut Step,
    ) -> Result<(), Failure> {
        let rate = self.moving.rate.map(f64::from);
        // Ten steps a second look even enough.
        let most = self
            .moving
            .rate
            .map_or(usize::MAX, |rate| rate as usize / 10);
        let begun = Instant::now();
        while let Some(step) = redrive.step(most).await.map_err(failed)? {
            done.moved += step.moved;
            done.kept += step.kept;
            bar.inc(step.moved as u64);
            if let Some(rate) = rate {
                #[expect(clippy::cast_precision_loss, reason = "there are not so many")]
                let due = Duration::from_secs_f64(done.moved as f64 / rate);
                tokio::time::sleep_until(begun + due).await;
            }
        }
        Ok(())
    }

    fn dry_run(&self, redrive: &Redrive, matched: usize) -> Result<(), Failure> {
        if self.output == Output::Table && matched > 0 {
            say(&table(&HEAD, rows(redrive.letters())))?;
        }
        self.tell(matched, Step::default())
    }

    fn tell(&self, matched: usize, done: Step) -> Result<(), Failure> {
        let [word, past] = self.words;
        let dry_run = self.moving.dry_run;
        if self.output == Output::Json {
            let told = json!({
                "action": word, "dry_run": dry_run,
                "matched": matched, "moved": done.moved, "kept": done.kept,
            });
            return say(&told.to_string());
        }
        match dry_run {
            true => say(&format!("{matched} would be {past}")),
            false => say(&format!("{} {past}", done.moved)),
        }
    }
}

/// Letters that are shown before it is asked whether to go on.
const SHOWN: usize = 20;
