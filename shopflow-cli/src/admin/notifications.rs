//! `shopflow notifications`.

mod resend;

use core_kernel::{NotificationId, OrderId, Slice, Text, UserId, UserScope};
use core_notify::{
    Attempt, AttemptsError, Channel, FindError, Notification, NotificationFilter,
    NotificationPosition, Notifications, Resent, Status, StoreError,
};
use serde::Serialize;
use serde_json::{Value, json};
use shopflow_http::view;
use uuid::Uuid;

use super::actor::caller;
use super::output::{self, facts, listing, say, table, when, when_any};
use super::place::failed;
use super::walk::{Walk, rest};
use crate::Failure;
use crate::cli::{
    NotificationCommand, NotificationListArgs, NotificationShowArgs, Output, PlaceArgs,
};
use crate::config::Problems;
use crate::serve::block_on;

pub(crate) fn run(command: &NotificationCommand) -> Result<(), Failure> {
    block_on(async {
        match command {
            NotificationCommand::List(args) => list(args).await,
            NotificationCommand::Show(args) => show(args).await,
            NotificationCommand::Resend(args) => resend::resend(args).await,
        }
    })
}

async fn notifications(place: &PlaceArgs) -> Result<Notifications, Failure> {
    let data = place.resolve()?.open("shopflow notifications", 2).await?;
    Ok(Notifications::new(data.notifications()))
}

async fn list(args: &NotificationListArgs) -> Result<(), Failure> {
    let (filter, walk) = filter(args)?;
    let notifications = notifications(&args.place).await?;
    let start = match &args.walk.after {
        // Before all ids that one made at that moment could have.
        None => NotificationPosition {
            created_at: walk.before,
            id: NotificationId(Uuid::nil()),
        },
        Some(id) => (&found(&notifications, id).await?.summary).into(),
    };
    let listed = notifications.list_after(&filter, start, walk.limit).await;
    let Slice { mut items, more } = listed.map_err(broken)?;
    let more = walk.cut(&mut items, |one| one.created_at, more);
    let rows = items.iter().map(|one| {
        vec![
            one.id.to_string(),
            one.status.as_str().to_owned(),
            one.channel.as_str().to_owned(),
            one.type_key.clone(),
            one.recipient.as_str().to_owned(),
            one.order_id.map(|id| id.to_string()).unwrap_or_default(),
            when(one.created_at),
            when_any(one.sent_at),
        ]
    });
    let data = items.iter().map(view::notification_summary).collect();
    let more = rest(more, items.last().map(|one| one.id));
    let head = [
        "ID", "STATUS", "CHANNEL", "TYPE", "TO", "ORDER", "CREATED", "SENT",
    ];
    listing(
        args.output.output,
        &head,
        rows.collect(),
        data,
        more.as_deref(),
    )
}

fn filter(args: &NotificationListArgs) -> Result<(NotificationFilter, Walk), Problems> {
    let mut problems = Problems::default();
    let user: Option<Option<UserId>> = match &args.user {
        None => Some(None),
        Some(id) => problems
            .take("--user", id.parse().map_err(|_| "must be a user's id"))
            .map(Some),
    };
    let order: Option<Option<OrderId>> = match &args.order {
        None => Some(None),
        Some(id) => problems
            .take("--order", id.parse().map_err(|_| "must be an order's id"))
            .map(Some),
    };
    let walk = args.walk.check(&mut problems);
    let ((user, order_id), walk) = problems.finish(user.zip(order).zip(walk))?;
    let filter = NotificationFilter {
        scope: user.map_or(UserScope::All, UserScope::One),
        order_id,
        channel: args.channel.as_deref().and_then(Channel::from_word),
        type_key: args.type_key.clone(),
        status: args.status.as_deref().and_then(Status::from_word),
    };
    Ok((filter, walk))
}

/// A notification with what only operators see.
#[derive(Serialize)]
struct Whole<N: Serialize, A: Serialize> {
    #[serde(flatten)]
    notification: N,
    attempts: Vec<A>,
    resent: Option<Value>,
}

fn resent(resent: &Resent) -> Value {
    let reason = resent.reason.as_ref().map(Text::as_str);
    json!({ "of": resent.of, "by": resent.by, "reason": reason })
}

async fn show(args: &NotificationShowArgs) -> Result<(), Failure> {
    let notifications = notifications(&args.place).await?;
    let notification = found(&notifications, &args.id).await?;
    let attempts = attempts(&notifications, notification.summary.id).await?;
    match args.output.output {
        Output::Json => output::json(&Whole {
            notification: view::notification(&notification),
            attempts: attempts.iter().map(view::attempt).collect(),
            resent: notification.resent.as_ref().map(resent),
        }),
        Output::Table => {
            say(&described(&notification))?;
            say(&format!("\n{}", attempts_table(&attempts)))
        }
    }
}

async fn found(notifications: &Notifications, id: &str) -> Result<Notification, Failure> {
    let unknown = || Failure::NotFound(format!("no notification has the id {id}"));
    let parsed = id.parse().map_err(|_| unknown())?;
    let found = notifications.get(&caller(), parsed).await;
    found.map_err(|error| match error {
        FindError::NotFound => unknown(),
        FindError::Store(error) => broken(error),
    })
}

async fn attempts(
    notifications: &Notifications,
    id: NotificationId,
) -> Result<Vec<Attempt>, Failure> {
    let found = notifications.attempts(&caller(), id).await;
    found.map_err(|error| match error {
        AttemptsError::Store(error) => broken(error),
        error @ (AttemptsError::NotFound | AttemptsError::Forbidden) => {
            anyhow::Error::new(error).into()
        }
    })
}

/// All but the words: those are HTML.
fn described(notification: &Notification) -> String {
    let summary = &notification.summary;
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let resent = notification.resent.as_ref();
    let reason = resent.and_then(|resent| resent.reason.as_ref());
    facts(&[
        ("Notification", summary.id.to_string()),
        ("Status", summary.status.as_str().to_owned()),
        ("Channel", summary.channel.as_str().to_owned()),
        ("Type", summary.type_key.clone()),
        ("To", summary.recipient.as_str().to_owned()),
        ("Subject", text(&summary.subject)),
        ("User", summary.user_id.to_string()),
        (
            "Order",
            summary
                .order_id
                .map(|id| id.to_string())
                .unwrap_or_default(),
        ),
        ("Created", when(summary.created_at)),
        ("Sent", when_any(summary.sent_at)),
        ("Provider's id", text(&notification.provider_ref)),
        ("Error", text(&notification.error_message)),
        (
            "Once more",
            resent
                .map(|resent| format!("{}, by {}", resent.of, resent.by))
                .unwrap_or_default(),
        ),
        (
            "Reason",
            reason
                .map(|reason| reason.as_str().to_owned())
                .unwrap_or_default(),
        ),
    ])
}

fn attempts_table(attempts: &[Attempt]) -> String {
    if attempts.is_empty() {
        return "No attempt was made to send it.".to_owned();
    }
    let row = |attempt: &Attempt| {
        let took = attempt.ended_at.map(|ended| {
            let millis = ended.duration_since(attempt.began_at).as_millis();
            format!("{millis} ms")
        });
        let told = attempt.reason.as_ref().or(attempt.provider_ref.as_ref());
        vec![
            attempt.number.to_string(),
            when(attempt.began_at),
            took.unwrap_or_default(),
            attempt.outcome.as_str().to_owned(),
            told.cloned().unwrap_or_default(),
        ]
    };
    let head = ["ATTEMPT", "BEGAN", "TOOK", "OUTCOME", "ANSWER"];
    table(&head, attempts.iter().map(row).collect())
}

fn broken(error: StoreError) -> Failure {
    anyhow::Error::new(error).context(failed("notify")).into()
}
