//! One process with everything in it: a folder of data, and an inbox in place of the providers.

use super::seen::{Attempt, Channel, DeadLetter, Fault, Sent};
use crate::Client;
use http::Method;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::{path::Path, sync::Mutex, time::Duration};
use tempfile::TempDir;

/// What stands behind `shopflow dev`.
#[derive(Debug)]
pub(super) struct Embedded {
    data: TempDir,
    inbox: Client,
    /// The dead letters that a test has seen; the inbox goes on showing them.
    taken: Mutex<Vec<Value>>,
}

impl Embedded {
    pub(super) fn new() -> Self {
        Self {
            data: TempDir::with_prefix("shopflow-dev-").expect("a folder can be made"),
            inbox: Client::new(""),
            taken: Mutex::default(),
        }
    }

    pub(super) fn at(self, inbox: Client) -> Self {
        Self { inbox, ..self }
    }

    pub(super) fn data(&self) -> &Path {
        self.data.path()
    }

    pub(super) fn database_url(&self) -> String {
        format!("sqlite:{}", self.data().join("shopflow.db").display())
    }

    pub(super) async fn sent(&self, channel: Channel) -> Vec<Sent> {
        let messages = self.oldest_first("/inbox/messages?limit=10000").await;
        let wanted = messages.iter().filter(|message| is_of(message, channel));
        wanted.map(sent).collect()
    }

    pub(super) async fn attempts(&self, channel: Channel) -> Vec<Attempt> {
        let attempts = self.oldest_first("/inbox/attempts?limit=10000").await;
        let wanted = attempts.iter().filter(|attempt| is_of(attempt, channel));
        wanted.map(attempt).collect()
    }

    pub(super) async fn fail(
        &self,
        channel: Channel,
        fault: Fault,
        count: Option<usize>,
        to: Option<&str>,
    ) {
        let mut rule = json!({ "channel": word(channel), "kind": kind(fault) });
        if let Some(count) = count {
            rule["count"] = count.into();
        }
        if let Some(to) = to {
            rule["to"] = to.into();
        }
        let answer = self.inbox.post("/inbox/faults", &rule).await;
        assert!(answer.status < 300, "{rule}: {}", answer.text());
    }

    pub(super) async fn heal(&self) {
        let answer = self.inbox.delete("/inbox/faults").await;
        assert!(answer.status < 300, "{}", answer.text());
    }

    /// One that was not taken before.
    pub(super) async fn dead_letter(&self) -> Option<DeadLetter> {
        let letters = self.oldest_first("/inbox/dead-letters.json").await;
        let mut taken = self.taken.lock().expect("nothing panics while it holds it");
        let mut known = taken.clone();
        let fresh = letters.into_iter().find(|letter| {
            let before = known.iter().position(|one| one == letter);
            before.map(|index| known.swap_remove(index)).is_none()
        })?;
        taken.push(fresh.clone());
        Some(dead_letter(&fresh))
    }

    /// A figure of the inbox's front page.
    pub(super) async fn figure(&self, name: &str) -> u64 {
        let overview = self.get("/inbox/overview").await;
        overview[name]
            .as_u64()
            .unwrap_or_else(|| panic!("no {name}: {overview}"))
    }

    async fn oldest_first(&self, path: &str) -> Vec<Value> {
        let mut answer = self.get(path).await;
        let mut list: Vec<Value> = match answer["data"].take() {
            Value::Array(list) => list,
            other => panic!("{path}: no list but {other}"),
        };
        list.reverse();
        list
    }

    async fn get(&self, path: &str) -> Value {
        let answer = self.inbox.request(Method::GET, path, &[], "").await;
        let answer = answer.unwrap_or_else(|error| panic!("{error:#}"));
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.json()
    }
}

fn word(channel: Channel) -> &'static str {
    match channel {
        Channel::Email => "email",
        Channel::Sms => "sms",
    }
}

fn kind(fault: Fault) -> &'static str {
    match fault {
        Fault::Throttle => "throttle",
        Fault::Timeout | Fault::ServerError => "timeout",
        Fault::Refuse => "refuse",
        Fault::Lost => "lost",
        Fault::Away => "away",
    }
}

fn is_of(entry: &Value, channel: Channel) -> bool {
    entry["channel"] == word(channel)
}

fn text(entry: &Value, name: &str) -> String {
    entry[name].as_str().unwrap_or_default().to_owned()
}

fn sent(message: &Value) -> Sent {
    Sent {
        id: format!("inbox-{}", text(message, "id")),
        notification_id: message["notification_id"].as_str().map(str::to_owned),
        from: None,
        to: text(message, "to"),
        subject: text(message, "subject"),
        html: text(message, "html"),
        text: text(message, "text"),
    }
}

fn attempt(attempt: &Value) -> Attempt {
    let at: Timestamp = text(attempt, "at")
        .parse()
        .unwrap_or_else(|error| panic!("no time ({error}): {attempt}"));
    Attempt {
        at: Duration::from_micros(at.as_microsecond().unsigned_abs()),
        accepted: matches!(attempt["fault"].as_str(), None | Some("lost")),
    }
}

fn dead_letter(letter: &Value) -> DeadLetter {
    let channels = letter["failed_channels"].as_array().into_iter().flatten();
    DeadLetter {
        body: text(letter, "body"),
        message_id: letter["message_id"].as_str().map(str::to_owned),
        error_class: text(letter, "error_class"),
        error_message: text(letter, "error_message"),
        attempts: letter["attempts"].as_u64().unwrap_or_default(),
        first_failed_at: text(letter, "first_failed_at"),
        failed_at: text(letter, "failed_at"),
        failed_channels: channels
            .filter_map(|channel| Some(channel.as_str()?.to_owned()))
            .collect(),
        amqp: None,
    }
}
