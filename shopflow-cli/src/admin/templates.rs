//! `shopflow templates`: what notifications say.

mod render;

use anyhow::{Context, anyhow};
use core_notify::{EventKind, Sample, TemplateProblem, Templates};
use serde_json::json;

use super::output::{listing, say};
use crate::Failure;
use crate::cli::{Output, TemplateCheckArgs, TemplateCommand, TemplateListArgs};
use crate::serve::block_on;

pub(crate) fn run(command: &TemplateCommand) -> Result<(), Failure> {
    match command {
        TemplateCommand::List(args) => list(args),
        TemplateCommand::Render(args) => block_on(render::render(args)),
        TemplateCommand::Check(args) => check(args),
    }
}

/// Those that the notification service has.
fn templates() -> anyhow::Result<Templates> {
    Templates::embedded().context("the templates are of no use")
}

/// The ways its notifications go.
fn channels(kind: EventKind) -> &'static [&'static str] {
    match kind.is_about_order() {
        true => &["email", "sms"],
        false => &["email"],
    }
}

fn list(args: &TemplateListArgs) -> Result<(), Failure> {
    let (templates, sample) = (templates()?, Sample::usual());
    let (mut rows, mut data) = (Vec::new(), Vec::new());
    for kind in EventKind::ALL {
        let rendered = templates.render(kind, sample.facts(kind), &sample.contact);
        let subject = rendered.context(kind.type_key())?.subject;
        rows.push(vec![
            kind.type_key().to_owned(),
            channels(kind).join(", "),
            subject.clone(),
        ]);
        data.push(json!({
            "name": kind.type_key(),
            "channels": channels(kind),
            "subject": subject,
        }));
    }
    let head = ["NAME", "CHANNELS", "SUBJECT"];
    listing(args.output.output, &head, rows, data, None)
}

fn check(args: &TemplateCheckArgs) -> Result<(), Failure> {
    let problems = templates()?.check();
    if problems.is_empty() && args.output.output == Output::Table {
        return say("ok");
    }
    let row = |one: &TemplateProblem| {
        let (template, sample) = (one.template.to_owned(), one.sample.to_owned());
        vec![template, sample, one.what.clone()]
    };
    let data = problems
        .iter()
        .map(|one| json!({ "template": one.template, "sample": one.sample, "problem": one.what }));
    let data = data.collect();
    let rows = problems.iter().map(row).collect();
    let head = ["TEMPLATE", "SAMPLE", "PROBLEM"];
    listing(args.output.output, &head, rows, data, None)?;
    match problems.len() {
        0 => Ok(()),
        count => Err(anyhow!("{count} problems").into()),
    }
}
