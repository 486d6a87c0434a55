//! What a check finds.

use std::time::Duration;

use console::style;
use serde_json::{Value, json};

/// How good a thing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Ok,
    /// It works, and somebody should look at it.
    Warn,
    /// The service cannot do its work with it.
    Fail,
}

/// One line of the report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    /// What was looked at: `database`, or the variable of a secret.
    pub(super) name: String,
    pub(super) verdict: Verdict,
    /// What is the case.
    pub(super) what: String,
    /// What to do about it; nothing where all is well.
    pub(super) advice: Option<String>,
}

/// No check takes longer: who asks what is wrong has no time.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

pub(super) fn ok(name: &str, what: impl Into<String>) -> Finding {
    finding(name, Verdict::Ok, what, None)
}

pub(super) fn warn(name: &str, what: impl Into<String>, advice: impl Into<String>) -> Finding {
    finding(name, Verdict::Warn, what, Some(advice.into()))
}

pub(super) fn fail(name: &str, what: impl Into<String>, advice: impl Into<String>) -> Finding {
    finding(name, Verdict::Fail, what, Some(advice.into()))
}

fn finding(
    name: &str,
    verdict: Verdict,
    what: impl Into<String>,
    advice: Option<String>,
) -> Finding {
    let (name, what) = (name.to_owned(), what.into());
    Finding {
        name,
        verdict,
        what,
        advice,
    }
}

/// What a check finds within its time.
pub(super) async fn bounded(
    name: &str,
    advice: &str,
    check: impl Future<Output = Vec<Finding>>,
) -> Vec<Finding> {
    let found = tokio::time::timeout(PATIENCE, check).await;
    found.unwrap_or_else(|_| vec![fail(name, late(), advice)])
}

/// What is told of who did not answer in time.
pub(super) fn late() -> String {
    format!("no answer within {} s", PATIENCE.as_secs())
}

impl Finding {
    /// The line for people; names are padded to `width`.
    pub(super) fn line(&self, width: usize) -> String {
        let verdict = match self.verdict {
            Verdict::Ok => style("ok  ").green(),
            Verdict::Warn => style("warn").yellow(),
            Verdict::Fail => style("FAIL").red(),
        };
        let advice = self.advice.as_ref();
        let advice = advice.map(|advice| format!("; {advice}"));
        let (name, what) = (&self.name, &self.what);
        format!(
            "{verdict}  {name:width$}  {what}{}",
            advice.unwrap_or_default()
        )
    }

    pub(super) fn json(&self) -> Value {
        let verdict = match self.verdict {
            Verdict::Ok => "ok",
            Verdict::Warn => "warn",
            Verdict::Fail => "fail",
        };
        json!({
            "name": self.name,
            "verdict": verdict,
            "what": self.what,
            "advice": self.advice,
        })
    }
}
