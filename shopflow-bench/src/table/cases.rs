//! The endpoints, each under closed and open load, beside its floor.

use std::sync::Arc;
use std::time::Duration;

use hdrhistogram::Histogram;
use shopflow_testkit::Service;

use super::figure::{Figure, Goal};
use super::rig::{FloorServer, ORDER, Rig};
use crate::http::request;
use crate::load::{self, Closed, Target};
use crate::process;

/// Connections of the closed load.
const CONNECTIONS: [usize; 2] = [16, 64];

/// Before anything is counted: connections open, statements are prepared, caches fill.
const WARM_UP: Duration = Duration::from_secs(1);

/// More changes of state than any machine makes in a second.
const PATCHES_A_SECOND: i32 = 12_000;

/// One endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Case {
    Validate,
    Get,
    List,
    Create,
    Patch,
}

impl Case {
    fn name(self) -> &'static str {
        match self {
            Self::Validate => "POST /auth/validate",
            Self::Get => "GET /orders/{id}",
            Self::List => "GET /orders",
            Self::Create => "POST /orders",
            Self::Patch => "PATCH /orders/{id}/status",
        }
    }

    fn service(self) -> Service {
        match self {
            Self::Validate => Service::Auth,
            _ => Service::Orders,
        }
    }

    /// The share of the floor that is wanted.
    fn goal(self) -> Goal {
        Goal::ShareAtLeast(match self {
            Self::Validate | Self::Get | Self::List => 0.6,
            Self::Create | Self::Patch => 0.5,
        })
    }

    /// Requests a second at which latency is measured: moderate ones.
    fn rate(self) -> Option<u32> {
        match self {
            Self::Validate => Some(1000),
            Self::Get => Some(200),
            Self::Create => Some(100),
            Self::List | Self::Patch => None,
        }
    }

    /// What the floor does before it answers, as its arguments; with its hop listening on a port.
    fn floor(self, rig: &Rig, hop: u16) -> Vec<String> {
        let statement = match self {
            Self::Validate => return Vec::new(),
            Self::Get => "get",
            Self::List => "list",
            Self::Create => "create",
            Self::Patch => "patch",
        };
        let (hop, user) = (hop.to_string(), rig.customer.id.to_string());
        let url = rig.stack.setup.database_url.as_str();
        [
            "--hop",
            &hop,
            "--database",
            url,
            "--statement",
            statement,
            "--user",
            &user,
        ]
        .map(str::to_owned)
        .to_vec()
    }

    async fn target(self, rig: &mut Rig, time: Duration) -> Target {
        let port = rig.port(self.service());
        let token = rig.customer.token.clone();
        let same = move |method: &str, path: &str, body: &str| {
            let bytes = request(method, path, &token, body);
            move |_| bytes.clone()
        };
        match self {
            Self::Validate => Target::new(port, 200, same("POST", "/auth/validate", "")),
            Self::List => Target::new(port, 200, same("GET", "/orders", "")),
            Self::Create => Target::new(port, 201, same("POST", "/orders", ORDER)),
            Self::Get => {
                let (user, token) = (rig.customer.id, rig.customer.token.clone());
                let ids = rig.orders(user).await;
                Target::new(port, 200, move |number| {
                    let path = format!("/orders/{}", ids[number % ids.len()]);
                    request("GET", &path, &token, "")
                })
            }
            Self::Patch => {
                let seconds = CONNECTIONS.len() as f64 * (time + WARM_UP).as_secs_f64();
                let count = (f64::from(PATCHES_A_SECOND) * seconds) as i32;
                let (owner, token) = (rig.admin.id, rig.admin.token.clone());
                let ids = Arc::new(rig.seed(owner, count).await);
                Target::new(port, 200, move |number| {
                    let path = format!("/orders/{}/status", ids[number % ids.len()]);
                    request("PATCH", &path, &token, r#"{"status":"confirmed"}"#)
                })
            }
        }
    }
}

/// What a closed load showed.
pub(crate) struct Throughput {
    /// Requests a second.
    pub(crate) rate: f64,
    /// Microseconds of the server's processor time a request.
    pub(crate) cpu: f64,
    /// Statements a request.
    statements: f64,
}

/// All figures of one endpoint.
pub(crate) async fn measure(case: Case, rig: &mut Rig, time: Duration) -> Vec<Figure> {
    let (name, mut figures) = (case.name(), Vec::new());
    let ours = case.target(rig, time).await;
    let body = ours.once().expect("the service answers");
    let valid = r#"{"valid":true,"user":{"id":"a1b2c3d4-e5f6-7890-abcd-ef1234567890","email":"jane.doe@example.com","role":"customer"}}"#;
    let hop = FloorServer::start(200, valid, &[]).await;
    let floor = FloorServer::start(ours.status, &body, &case.floor(rig, hop.port)).await;
    // A change of state can be made once, so the floor gets orders of its own.
    let theirs = match case {
        Case::Patch => case.target(rig, time).await.at(floor.port),
        _ => ours.at(floor.port),
    };
    let pid = rig.pid(case.service());
    for connections in CONNECTIONS {
        let low = closed(rig, &theirs, connections, floor.pid(), time).await;
        let high = closed(rig, &ours, connections, pid, time).await;
        let of = |what| format!("{name}, {connections} connections{what}");
        let rate = Figure::new(of(""), high.rate, "/s").over(low.rate);
        figures.push(rate.wanted(case.goal()));
        figures.push(Figure::new(of(", processor"), high.cpu, "us").over(low.cpu));
        if connections == CONNECTIONS[1] {
            figures.push(Figure::new(
                format!("{name}, statements a request"),
                high.statements,
                "",
            ));
        }
        rig.published().await;
    }
    let memory = process::resident(&pid.to_string());
    let service = case.service().name();
    figures.push(Figure::new(
        format!("{name}, resident memory of {service} after it"),
        memory as f64,
        "MiB",
    ));
    if let Some(rate) = case.rate() {
        let low = load::open(&theirs, rate, time).expect("the floor answers");
        let high = load::open(&ours, rate, time).expect("the service answers");
        figures.extend(latencies(&format!("{name} at {rate}/s"), &high, &low));
        rig.published().await;
    }
    figures
}

fn latencies(name: &str, high: &Histogram<u64>, low: &Histogram<u64>) -> Vec<Figure> {
    let goals = [
        (50.0, Some(1.5)),
        (95.0, None),
        (99.0, Some(2.5)),
        (99.9, None),
    ];
    let figure = |(percent, goal): (f64, Option<f64>)| {
        let ms = |of: &Histogram<u64>| of.value_at_percentile(percent) as f64 / 1000.0;
        let figure = Figure::new(format!("{name}, p{percent}"), ms(high), "ms").over(ms(low));
        match goal {
            Some(times) => figure.wanted(Goal::TimesAtMost(times)),
            None => figure,
        }
    };
    goals.into_iter().map(figure).collect()
}

/// So many connections for so long, after a second of warming up.
pub(crate) async fn closed(
    rig: &mut Rig,
    target: &Target,
    connections: usize,
    pid: u32,
    time: Duration,
) -> Throughput {
    let load = Closed::begin(target, connections);
    tokio::time::sleep(WARM_UP).await;
    let statements = rig.statements().await;
    let (done, cpu) = (load.done(), process::cpu(pid));
    let begun = std::time::Instant::now();
    tokio::time::sleep(time).await;
    let (took, requests) = (begun.elapsed(), (load.done() - done).max(1) as f64);
    let cpu = process::cpu(pid).saturating_sub(cpu);
    let statements = rig.statements().await - statements;
    load.end().expect("every answer is right");
    Throughput {
        rate: requests / took.as_secs_f64(),
        cpu: cpu.as_secs_f64() * 1e6 / requests,
        statements: statements as f64 / requests,
    }
}
