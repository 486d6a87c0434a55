//! The table: what each endpoint does beside the least program that could do it, from the order to the
//! mail, and what the services take.

mod cases;
mod figure;
mod flow;
mod rig;
mod scale;

use std::path::{Path, PathBuf};
use std::time::Duration;

use shopflow_testkit::Service;

use crate::http::request;
use crate::load::{self, Target};
use crate::{process, storm};
use cases::Case;
use figure::{Figure, Goal};
use rig::Rig;
pub(crate) use scale::{Scale, report as scale};

/// Orders a minute at which mails are timed.
const RATE: u32 = 500;

/// Measures everything beside its floor, on durable servers of its own.
#[derive(Debug, clap::Args)]
pub(crate) struct Table {
    /// For how many seconds each load runs
    #[arg(long, default_value_t = 5)]
    seconds: u32,
    /// Measure this alone
    #[arg(long)]
    only: Option<Part>,
    /// Write the figures to a file as well
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Tell what moved since the run that wrote this file
    #[arg(long, value_name = "FILE")]
    compare: Option<PathBuf>,
}

/// A part of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    Validate,
    Get,
    List,
    Create,
    Patch,
    Login,
    Mail,
    Drain,
    Whole,
    Scrape,
    Start,
}

impl Part {
    const ALL: [Self; 11] = [
        Self::Start,
        Self::Validate,
        Self::Get,
        Self::List,
        Self::Create,
        Self::Patch,
        Self::Login,
        Self::Mail,
        Self::Drain,
        Self::Whole,
        Self::Scrape,
    ];
}

/// Measures and prints.
pub(crate) async fn report(table: &Table, program: &Path) {
    let mut rig = Rig::start(program).await;
    let time = Duration::from_secs(table.seconds.into());
    let mut figures = vec![size(program)];
    for part in Part::ALL {
        if table.only.is_none_or(|only| only == part) {
            figures.extend(measure(part, &mut rig, time).await);
        }
    }
    println!("{}", figure::render(&figures));
    if let Some(file) = &table.json {
        let text = serde_json::to_string_pretty(&figures).expect("figures are JSON");
        std::fs::write(file, text).expect("the file can be written");
    }
    if let Some(file) = &table.compare {
        let text = std::fs::read_to_string(file).expect("the file can be read");
        let before: Vec<Figure> = serde_json::from_str(&text).expect("figures of another run");
        println!("{}", figure::compare(&before, &figures));
    }
}

async fn measure(part: Part, rig: &mut Rig, time: Duration) -> Vec<Figure> {
    let case = match part {
        Part::Validate => Case::Validate,
        Part::Get => Case::Get,
        Part::List => Case::List,
        Part::Create => Case::Create,
        Part::Patch => Case::Patch,
        Part::Login => return logins(rig, time).await,
        Part::Mail => return mails(rig, time).await,
        Part::Drain => return flow::drain(rig).await,
        Part::Whole => return vec![flow::confirms(rig, time).await, flow::whole(rig).await],
        Part::Scrape => return scrapes(rig, time),
        Part::Start => return flow::cold_starts(rig).await,
    };
    // One endpoint is measured, and not what notify makes of it.
    rig.stack.kill(Service::Notify).await;
    let figures = cases::measure(case, rig, time).await;
    rig.forget_events().await;
    rig.stack.launch(Service::Notify);
    rig.stack.wait_ready(Service::Notify).await;
    figures
}

/// What a scrape of each service takes, with all the series that the loads before it have made.
fn scrapes(rig: &Rig, time: Duration) -> Vec<Figure> {
    const A_SECOND: u32 = 10;
    let mut figures = Vec::new();
    for service in Service::ALL {
        let scrape = request("GET", "/metrics", "", "");
        let scrape = Target::new(rig.port(service), 200, move |_| scrape.clone());
        let taken = load::open(&scrape, A_SECOND, time).expect("the service answers");
        for percent in [50.0, 99.0] {
            let ms = taken.value_at_percentile(percent) as f64 / 1000.0;
            let name = format!("GET /metrics of {}, p{percent}", service.name());
            figures.push(Figure::new(name, ms, "ms").wanted(Goal::AtMost(5.0)));
        }
    }
    figures
}

async fn logins(rig: &Rig, time: Duration) -> Vec<Figure> {
    let storm = storm::measure(&rig.stack, time).await;
    let p99 = percentile(&storm.validations, 99);
    vec![
        Figure::new("POST /auth/login, 8 connections", storm.logins, "/s")
            .over(storm.raw)
            .wanted(Goal::ShareAtLeast(0.95)),
        Figure::new("POST /auth/validate meanwhile, p99", p99, "ms").wanted(Goal::AtMost(10.0)),
    ]
}

/// Latencies from the order to its mail at a moderate rate.
async fn mails(rig: &Rig, time: Duration) -> Vec<Figure> {
    // A rate a minute needs longer than one a second.
    let time = time * 6;
    let flow = crate::at_rate(&rig.stack, RATE, time, 10).await;
    let name = format!("order answered to mail at SES, {RATE} a minute");
    let mail = [(50, Some(4.0)), (95, None), (99, Some(20.0)), (100, None)];
    let mut figures: Vec<Figure> = mail
        .into_iter()
        .map(|(percent, most)| {
            let ms = percentile(&flow.mails, percent);
            let figure = Figure::new(format!("{name}, p{percent}"), ms, "ms");
            match most {
                Some(most) => figure.wanted(Goal::AtMost(most)),
                None => figure,
            }
        })
        .collect();
    let p99 = percentile(&flow.confirms, 99);
    let confirm = Figure::new("placed to broker confirm, p99", p99, "ms");
    figures.push(confirm.wanted(Goal::AtMost(10.0)));
    for service in Service::ALL {
        let resident = process::resident(&rig.pid(service).to_string()) as f64;
        let name = format!("{}, resident after the loads", service.name());
        figures.push(Figure::new(name, resident, "MiB").wanted(Goal::AtMost(40.0)));
    }
    figures
}

/// Milliseconds.
fn percentile(latencies: &[Duration], percent: usize) -> f64 {
    crate::percentile(latencies, percent).as_secs_f64() * 1000.0
}

fn size(program: &Path) -> Figure {
    let bytes = std::fs::metadata(program).map_or(0, |file| file.len());
    let mib = bytes as f64 / (1024.0 * 1024.0);
    Figure::new("the shipped binary", mib, "MiB").wanted(Goal::AtMost(25.0))
}
