//! `shopflow doctor`: all that could be wrong with a service, seen from where it runs. It changes
//! nothing and sends nothing.

mod clock;
mod folder;
mod inside;
mod outside;
mod secrets;
mod verdict;

use anyhow::{Context, anyhow};
use core_kernel::{Clock, SystemClock};
use futures_util::future::{BoxFuture, join_all};
use serde_json::json;
use shopflow_http::HttpClient;
use shopflow_postgres::Schema;

use super::output::{json, say};
use crate::Failure;
use crate::cli::{DoctorArgs, DoctorService, Output};
use crate::config::{Examined, Problems};
use crate::serve::block_on;
use verdict::{Finding, Verdict, fail, ok, warn};

pub(crate) fn run(args: &DoctorArgs) -> Result<(), Failure> {
    block_on(async {
        let (service, output, found) = match (&args.service, &args.data_dir) {
            (None, None) => {
                let why = "is required, unless a service is named: auth, orders or notify";
                return Err(Problems::one("--data-dir", why).into());
            }
            (None, Some(folder)) => ("dev", args.output, folder::examine(folder).await),
            (Some(DoctorService::Auth(args)), _) => {
                let found = examine(args.settings.examine(), Schema::Auth).await?;
                ("auth", args.output, found)
            }
            (Some(DoctorService::Orders(args)), _) => {
                let found = examine(args.settings.examine(), Schema::Orders).await?;
                ("orders", args.output, found)
            }
            (Some(DoctorService::Notify(args)), _) => {
                let found = examine(args.settings.examine(), Schema::Notify).await?;
                ("notify", args.output, found)
            }
        };
        tell(output.output, service, &found)
    })
}

/// Everything at once; what is told comes in the order in which it is mended best.
async fn examine(settings: Examined, schema: Schema) -> Result<Vec<Finding>, Failure> {
    let client = HttpClient::new().context("no certificate authorities")?;
    let now = SystemClock.now();
    let mut found = match &settings.problems {
        None => vec![ok("settings", "are complete")],
        Some(problems) => {
            let each = problems.each();
            each.map(|(name, what)| fail("settings", format!("{name} {what}"), "set it right"))
                .collect()
        }
    };
    if let Some(keys) = &settings.keys {
        found.extend(secrets::keys(keys, now));
    }
    for peer in &settings.peers {
        let token = peer.token.as_ref();
        found.extend(token.map(|token| secrets::token(peer.token_name, token, now)));
    }
    let mut checks: Vec<BoxFuture<'_, Vec<Finding>>> = Vec::new();
    if let Some(config) = &settings.database {
        checks.push(Box::pin(inside::database(config, schema)));
    }
    match &settings.broker {
        Some(url) => checks.push(Box::pin(inside::broker(url))),
        // Only auth can do without.
        None if schema == Schema::Auth => {
            let advice = "set RABBITMQ_URL; auth sends no mails without it";
            found.push(warn("broker", "RABBITMQ_URL is not set", advice));
        }
        None => {}
    }
    if let Some(config) = &settings.redis {
        checks.push(Box::pin(inside::redis(config)));
    }
    checks.extend(settings.peers.iter().map(|peer| {
        let check = outside::peer(&client, peer);
        Box::pin(check) as BoxFuture<'_, _>
    }));
    checks.push(Box::pin(outside::tokens(&client, &settings.peers)));
    if let Some(providers) = &settings.providers {
        if let Some((region, from)) = &providers.ses {
            checks.push(Box::pin(outside::ses(region, from)));
        }
        if let Some((account, url)) = &providers.twilio {
            checks.push(Box::pin(outside::twilio(&client, account, url)));
        }
    }
    found.extend(join_all(checks).await.into_iter().flatten());
    Ok(found)
}

fn tell(output: Output, service: &str, found: &[Finding]) -> Result<(), Failure> {
    let failed = found.iter().filter(|one| one.verdict == Verdict::Fail);
    let failed = failed.count();
    match output {
        Output::Json => {
            let checks: Vec<_> = found.iter().map(Finding::json).collect();
            json(&json!({ "service": service, "healthy": failed == 0, "checks": checks }))?;
        }
        Output::Table => {
            let width = found.iter().map(|one| one.name.len()).max();
            let lines = found.iter().map(|one| one.line(width.unwrap_or_default()));
            say(&lines.collect::<Vec<_>>().join("\n"))?;
        }
    }
    match failed {
        0 => Ok(()),
        1 => Err(anyhow!("1 check failed").into()),
        failed => Err(anyhow!("{failed} checks failed").into()),
    }
}
