//! `shopflow reconcile`: orders, events and notifications against each other.
//!
//! What is mended is mended by its event alone, under an id that the notification service knows or
//! would know: so it may be done twice, and beside running services, and mails once.

mod finding;
mod show;
mod sources;
mod walk;

use std::collections::HashSet;
use std::io::IsTerminal;

use anyhow::anyhow;
use core_kernel::{Clock, SystemClock};
use core_notify::NotificationRetention;
use indicatif::{ProgressBar, ProgressStyle};
use jiff::SignedDuration;

use super::ask::{askable, confirm};
use super::output::{json, note, say};
use super::walk::ago;
use crate::Failure;
use crate::cli::{Output, ReconcileArgs};
use crate::config::Problems;
use crate::serve::block_on;
use finding::Window;
use sources::{Afloat, Sources};
use walk::{Report, Walk};

/// What went to cold storage went there by a clock that may be another.
const MARGIN: SignedDuration = SignedDuration::from_hours(24);

pub(crate) fn run(args: &ReconcileArgs) -> Result<(), Failure> {
    block_on(reconcile(args))
}

async fn reconcile(args: &ReconcileArgs) -> Result<(), Failure> {
    let mut problems = Problems::default();
    let place = args.place.check(&mut problems);
    let notify = args.notify.check(&mut problems);
    let broker = match args.fix && args.place.data_dir.is_none() {
        true => args.broker.required(&mut problems),
        false => args.broker.optional(&mut problems),
    };
    let window = args.window(&mut problems);
    let place = problems.finish(place)?;
    if args.fix {
        askable(args.yes.yes)?;
    }
    let (sources, data) = Sources::open(&place, notify).await?;
    let afloat = Afloat::look(&place, &data, broker.as_ref()).await;
    let afloat = match afloat {
        Ok(afloat) => Some(afloat),
        Err(error) if args.fix => return Err(error.into()),
        Err(error) => {
            note(&format!("Dead letters are not looked at: {error:#}"));
            None
        }
    };
    // Hidden where standard error is no terminal.
    let bar = ProgressBar::no_length().with_style(style());
    let mut walk = Walk {
        sources,
        afloat,
        window,
        output: None,
        shown: HashSet::new(),
        mends: false,
        forgotten: args.forgotten,
        bar: bar.clone(),
        report: Report::default(),
    };
    if args.fix && !args.yes.yes {
        walk.all().await?;
        let curable = std::mem::take(&mut walk.report).curable;
        if curable > 0 {
            let what = match curable {
                1 => "Let the event of 1 finding go out?".to_owned(),
                curable => format!("Let the events of {curable} findings go out?"),
            };
            bar.suspend(|| confirm(&what, false))?;
        }
        // Who reads the result elsewhere has not seen them.
        if !(std::io::stdout().is_terminal() && std::io::stderr().is_terminal()) {
            walk.shown.clear();
        }
    }
    walk.output = Some(args.output.output);
    walk.mends = args.fix;
    walk.all().await?;
    bar.finish_and_clear();
    tell(args.output.output, &walk.report)
}

fn style() -> ProgressStyle {
    let template = "{spinner} {pos} orders {per_sec}";
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}

impl ReconcileArgs {
    fn window(&self, problems: &mut Problems) -> Window {
        let now = SystemClock.now();
        let until = ago(problems, "--older-than", Some(&self.older_than), now);
        let since = ago(problems, "--newer-than", self.newer_than.as_ref(), now);
        let kept = NotificationRetention::kept_since(now) + MARGIN;
        Window {
            now,
            until: until.unwrap_or(now),
            since: since.map_or(kept, |since| since.max(kept)),
        }
    }
}

fn tell(output: Output, report: &Report) -> Result<(), Failure> {
    match output {
        Output::Json => json(&report.json())?,
        Output::Table => {
            let found = report.found();
            let (orders, queued) = (report.orders, report.queued);
            say(&format!(
                "{orders} orders and {queued} queued notifications looked at: {found} found, {} mended",
                report.mended
            ))?;
        }
    }
    for (service, why) in &report.missing {
        note(&format!("Not looked at, {service}: {why}"));
    }
    let left = report.found() - report.mended;
    match (left, report.missing.is_empty()) {
        (0, true) => Ok(()),
        (0, false) => Err(anyhow!("not everything could be looked at").into()),
        (1, _) => Err(anyhow!("1 finding is left").into()),
        (left, _) => Err(anyhow!("{left} findings are left").into()),
    }
}
