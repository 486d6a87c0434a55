//! `shopflow users sessions`.

use std::sync::Arc;

use core_auth::{OperateError, SessionSummary, Sessions, User};
use core_kernel::{RequestContext, SystemClock, wire_time};
use serde_json::{Value, json};

use super::{accounts, broken, failure, open};
use crate::Failure;
use crate::admin::actor::doing;
use crate::admin::ask::confirm;
use crate::admin::output::{json, listing, say, time_or_null, when, when_any};
use crate::cli::{EndSessionsArgs, Output, PlaceArgs, SessionListArgs};

async fn of(name: &str, place: &PlaceArgs) -> Result<(User, Sessions), Failure> {
    let data = open(place).await?;
    let user = accounts(&data).named(name).await;
    let user = user.map_err(|error| failure(error, name))?;
    Ok((user, Sessions::new(data.sessions(), Arc::new(SystemClock))))
}

pub(super) async fn list(args: &SessionListArgs) -> Result<(), Failure> {
    let (user, sessions) = of(&args.user, &args.place).await?;
    let found = sessions.list(user.id, args.limit).await.map_err(broken)?;
    let row = |session: &SessionSummary| {
        vec![
            session.id.to_string(),
            when(session.created_at),
            when(session.renewed_at),
            when_any(session.ended_at),
            session.end_reason.clone().unwrap_or_default(),
        ]
    };
    let head = ["ID", "BEGAN", "RENEWED", "ENDED", "WHY"];
    let rows = found.iter().map(row).collect();
    let data: Vec<Value> = found.iter().map(shown).collect();
    listing(args.output.output, &head, rows, data, None)
}

fn shown(session: &SessionSummary) -> Value {
    json!({
        "id": session.id,
        "created_at": wire_time::format(session.created_at),
        "renewed_at": wire_time::format(session.renewed_at),
        "ended_at": time_or_null(session.ended_at),
        "end_reason": session.end_reason,
    })
}

pub(super) async fn end(args: &EndSessionsArgs) -> Result<(), Failure> {
    let (user, sessions) = of(&args.user, &args.place).await?;
    let email = user.email.as_str();
    let context = RequestContext::generate();
    if let Some(id) = &args.session {
        confirm(&format!("End session {id} of {email}?"), args.yes.yes)?;
        let unknown = || Failure::NotFound(format!("{email} has no session {id}"));
        let session = id.parse().map_err(|_| unknown())?;
        let ended = sessions.end(user.id, session, &doing(&context)).await;
        let ended = ended.map_err(|error| match error {
            OperateError::NotFound => unknown(),
            error => broken(error),
        })?;
        return match (args.output.output, ended) {
            (Output::Json, ended) => json(&json!({
                "user_id": user.id, "session_id": session, "ended": ended,
            })),
            (Output::Table, true) => say(&format!("session {id} of {email} has ended")),
            (Output::Table, false) => say(&format!("session {id} of {email} had ended before")),
        };
    }
    confirm(&format!("End all sessions of {email}?"), args.yes.yes)?;
    let ended = sessions.end_all(user.id, &doing(&context)).await;
    ended.map_err(broken)?;
    match args.output.output {
        Output::Json => json(&json!({ "user_id": user.id, "session_id": null, "ended": true })),
        Output::Table => say(&format!("{email} has no session")),
    }
}
