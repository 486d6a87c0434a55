//! `shopflow notifications`.

use core_kernel::{Caller, NotificationId, OrderId, PageRequest, UserId, UserScope};
use core_notify::{
    Attempt, AttemptsError, Channel, FindError, Notification, NotificationFilter, Notifications,
    Status, StoreError,
};
use serde::Serialize;
use shopflow_http::view;

use super::actor::actor;
use super::output::{facts, json, listing, more, say, table, when, when_any};
use super::place::failed;
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
        }
    })
}

async fn notifications(place: &PlaceArgs) -> Result<Notifications, Failure> {
    let data = place.resolve()?.open("shopflow notifications", 2).await?;
    Ok(Notifications::new(data.notifications()))
}

async fn list(args: &NotificationListArgs) -> Result<(), Failure> {
    let filter = filter(args)?;
    let page = PageRequest {
        page: args.page.page,
        limit: args.page.limit,
    };
    let found = notifications(&args.place).await?.list(&filter, page).await;
    let found = found.map_err(broken)?;
    let rows = found.items.iter().map(|one| {
        vec![
            one.id.to_string(),
            one.status.as_str().to_owned(),
            one.channel.as_str().to_owned(),
            one.type_key.clone(),
            one.recipient.clone(),
            one.order_id.map(|id| id.to_string()).unwrap_or_default(),
            when(one.created_at),
            when_any(one.sent_at),
        ]
    });
    let data = found.items.iter().map(view::notification_summary).collect();
    let more = more(page.page, page.limit, found.items.len(), found.total);
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

fn filter(args: &NotificationListArgs) -> Result<NotificationFilter, Problems> {
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
    let (user, order_id) = problems.finish(user.zip(order))?;
    Ok(NotificationFilter {
        scope: user.map_or(UserScope::All, UserScope::One),
        order_id,
        channel: args.channel.as_deref().and_then(Channel::from_word),
        type_key: args.type_key.clone(),
        status: args.status.as_deref().and_then(Status::from_word),
    })
}

/// A notification with its attempts.
#[derive(Serialize)]
struct Whole<N: Serialize, A: Serialize> {
    #[serde(flatten)]
    notification: N,
    attempts: Vec<A>,
}

async fn show(args: &NotificationShowArgs) -> Result<(), Failure> {
    let unknown = || Failure::NotFound(format!("no notification has the id {}", args.id));
    let id: NotificationId = args.id.parse().map_err(|_| unknown())?;
    let notifications = notifications(&args.place).await?;
    let caller = Caller::Service(actor());
    let notification = match notifications.get(&caller, id).await {
        Ok(found) => found,
        Err(FindError::NotFound) => return Err(unknown()),
        Err(FindError::Store(error)) => return Err(broken(error)),
    };
    let attempts = match notifications.attempts(&caller, id).await {
        Ok(found) => found,
        Err(AttemptsError::NotFound | AttemptsError::Forbidden) => return Err(unknown()),
        Err(AttemptsError::Store(error)) => return Err(broken(error)),
    };
    match args.output.output {
        Output::Json => json(&Whole {
            notification: view::notification(&notification),
            attempts: attempts.iter().map(view::attempt).collect(),
        }),
        Output::Table => {
            say(&described(&notification))?;
            say(&format!("\n{}", attempts_table(&attempts)))
        }
    }
}

/// All but the words: those are HTML.
fn described(notification: &Notification) -> String {
    let summary = &notification.summary;
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    facts(&[
        ("Notification", summary.id.to_string()),
        ("Status", summary.status.as_str().to_owned()),
        ("Channel", summary.channel.as_str().to_owned()),
        ("Type", summary.type_key.clone()),
        ("To", summary.recipient.clone()),
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
