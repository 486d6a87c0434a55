//! From an order to its mail, from a backlog to the last one, and what starting costs.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use lapin::options::{ConfirmSelectOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Connection, ConnectionProperties};
use shopflow_testkit::{Service, Stack, wait_until};

use super::figure::{Figure, Goal};
use super::rig::{ORDER, PATIENCE, Rig};
use crate::http::request;
use crate::load::{Closed, Target};
use crate::process;

/// Orders of the backlog.
const BACKLOG: usize = 10_000;

/// Orders that wait for notify, then all it does with them; mails and texts counted at the stand-ins.
pub(crate) async fn drain(rig: &mut Rig) -> Vec<Figure> {
    let others = [Service::Auth, Service::Orders].map(|service| rig.pid(service));
    let before = backlog(rig).await;
    let used = others.map(process::cpu);
    let rate = drained_from(rig, before, 1).await;
    let notify = process::cpu(rig.pid(Service::Notify));
    let [auth, orders] = [0, 1].map(|of| process::cpu(others[of]).saturating_sub(used[of]));
    let each = |cpu: Duration| cpu.as_secs_f64() * 1e6 / BACKLOG as f64;
    let name = format!("drain of {BACKLOG} orders, a mail and a text each");
    vec![
        Figure::new(name, rate, "orders/s").wanted(Goal::AtLeast(1200.0)),
        Figure::new("drain, processor of notify", each(notify), "us/order"),
        Figure::new("drain, processor of orders", each(orders), "us/order"),
        Figure::new("drain, processor of auth", each(auth), "us/order"),
    ]
}

/// Orders a second that so many instances of notify drain from a backlog.
pub(crate) async fn drained(rig: &mut Rig, instances: usize) -> f64 {
    let before = backlog(rig).await;
    drained_from(rig, before, instances).await
}

/// Orders that wait for notify, which does not run; how much was sent before them.
async fn backlog(rig: &mut Rig) -> usize {
    rig.stack.kill(Service::Notify).await;
    let before = sent(&rig.stack);
    place(rig, BACKLOG).await;
    rig.published().await;
    before
}

async fn drained_from(rig: &mut Rig, before: usize, instances: usize) -> f64 {
    let begun = Instant::now();
    rig.stack.launch(Service::Notify);
    rig.stack.wait_ready(Service::Notify).await;
    let mut more = Vec::new();
    for _ in 1..instances {
        more.push(rig.second(Service::Notify).await);
    }
    all_sent(&rig.stack, before + BACKLOG).await;
    BACKLOG as f64 / begun.elapsed().as_secs_f64()
}

/// Orders as fast as they can be placed, to the last mail.
pub(crate) async fn whole(rig: &mut Rig) -> Figure {
    let before = sent(&rig.stack);
    let begun = Instant::now();
    place(rig, BACKLOG).await;
    all_sent(&rig.stack, before + BACKLOG).await;
    let rate = BACKLOG as f64 / begun.elapsed().as_secs_f64();
    let name = "whole flow at full speed, to the last mail and text";
    Figure::new(name, rate, "orders/s").wanted(Goal::AtLeast(1000.0))
}

/// Places so many orders over 16 connections.
async fn place(rig: &Rig, count: usize) {
    let order = request("POST", "/orders", &rig.customer.token, ORDER);
    let target = Target::new(rig.port(Service::Orders), 201, move |_| order.clone());
    let load = Closed::begin_limited(&target, 16, count);
    let load = tokio::task::spawn_blocking(move || load.wait());
    let placed = load.await.expect("the load does not panic");
    placed.expect("every answer is right");
}

/// The fewer of mails and texts.
fn sent(stack: &Stack) -> usize {
    let servers = stack.servers();
    servers.ses.sent_count().min(servers.twilio.sent_count())
}

async fn all_sent(stack: &Stack, count: usize) {
    let done = async || sent(stack) >= count;
    wait_until("every mail and text is sent", PATIENCE, done).await;
}

/// Messages a second that the broker confirms in a durable quorum queue, a hundred under way.
pub(crate) async fn confirms(rig: &Rig, time: Duration) -> Figure {
    const UNDER_WAY: usize = 100;
    let url = rig.stack.servers().vhost.url().to_owned();
    let connection = Connection::connect(&url, ConnectionProperties::default()).await;
    let connection = connection.expect("the broker answers");
    let channel = connection.create_channel().await.expect("a channel");
    let durable = QueueDeclareOptions {
        durable: true,
        ..QueueDeclareOptions::default()
    };
    let mut quorum = FieldTable::default();
    quorum.insert(
        "x-queue-type".into(),
        AMQPValue::LongString("quorum".into()),
    );
    let queue = channel.queue_declare("bench".into(), durable, quorum).await;
    queue.expect("a queue");
    let confirm = channel.confirm_select(ConfirmSelectOptions::default());
    confirm.await.expect("confirms");
    let (done, begun) = (Arc::new(AtomicUsize::new(0)), Instant::now());
    let one = async || {
        while begun.elapsed() < time {
            let persistent = BasicProperties::default().with_delivery_mode(2);
            let body = ORDER.as_bytes();
            let published = channel
                .basic_publish(
                    "".into(),
                    "bench".into(),
                    Default::default(),
                    body,
                    persistent,
                )
                .await?;
            published.await?;
            done.fetch_add(1, Ordering::Relaxed);
        }
        lapin::Result::Ok(())
    };
    let all = try_join_all((0..UNDER_WAY).map(|_| one())).await;
    all.expect("the broker confirms");
    let rate = done.load(Ordering::Relaxed) as f64 / begun.elapsed().as_secs_f64();
    let _ = connection.close(200, "bye".into()).await;
    Figure::new("RabbitMQ alone, confirms of a quorum queue", rate, "/s")
}

/// From the start of a service's process to its first answer, and its memory a moment later.
pub(crate) async fn cold_starts(rig: &mut Rig) -> Vec<Figure> {
    const TIMES: usize = 5;
    let mut figures = Vec::new();
    for service in Service::ALL {
        let health = request("GET", "/health", "", "");
        let health = Target::new(rig.port(service), 200, move |_| health.clone());
        let mut took = Vec::new();
        for _ in 0..TIMES {
            rig.stack.kill(service).await;
            let begun = Instant::now();
            rig.stack.launch(service);
            while health.once().is_err() {
                assert!(
                    begun.elapsed() < PATIENCE,
                    "{} does not start",
                    service.name()
                );
                std::thread::sleep(Duration::from_micros(200));
            }
            took.push(begun.elapsed());
        }
        took.sort_unstable();
        let ms = took[TIMES / 2].as_secs_f64() * 1000.0;
        let name = format!("{}, cold start to /health", service.name());
        figures.push(Figure::new(name, ms, "ms").wanted(Goal::AtMost(50.0)));
        rig.stack.wait_ready(service).await;
        let resident = process::resident(&rig.pid(service).to_string()) as f64;
        let name = format!("{}, resident when idle", service.name());
        figures.push(Figure::new(name, resident, "MiB").wanted(Goal::AtMost(15.0)));
    }
    figures
}
