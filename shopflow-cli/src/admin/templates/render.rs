//! `shopflow templates render`.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, anyhow};
use core_notify::{Channel, Contact, EventKind, Facts, OrderDetails, Rendered, Sample, SmsSize};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use shopflow_http::view;

use super::{channels, templates};
use crate::Failure;
use crate::admin::orders::{broken, order_id, unknown};
use crate::admin::output::{facts, json, say};
use crate::admin::place::{Place, failed};
use crate::cli::{Output, TemplateRenderArgs};
use crate::config::{DatabaseConfig, Problems};

/// What shows a file to people.
const OPENER: &str = if cfg!(target_os = "macos") {
    "open"
} else {
    "xdg-open"
};

pub(super) async fn render(args: &TemplateRenderArgs) -> Result<(), Failure> {
    let kind = EventKind::with_type_key(&args.name);
    let kind = kind.ok_or_else(|| Problems::one("NAME", "is no template"))?;
    let (place, auth) = checked(args, kind)?;
    let sample = Sample::usual();
    let real = match (&args.order, place) {
        (Some(id), Some(place)) => Some(read(id, &place, auth).await?),
        _ => None,
    };
    let (about, contact) = match &real {
        Some((order, contact)) => (Facts::Order(order), contact),
        None => (sample.facts(kind), &sample.contact),
    };
    let rendered = templates()?.render(kind, about, contact);
    let rendered = rendered.context(kind.type_key())?;
    if let Some(file) = &args.html {
        let written = std::fs::write(file, &rendered.html);
        written.with_context(|| format!("{} cannot be written", file.display()))?;
        if args.open {
            open(file)?;
        }
    }
    let wanted = args.channel.as_deref().and_then(Channel::from_word);
    match args.output.output {
        Output::Json => json(&as_json(args, &rendered, wanted)),
        Output::Table => as_text(args, &rendered, wanted),
    }
}

/// All that can be wrong with what was typed. The place is needed for an order only.
fn checked(
    args: &TemplateRenderArgs,
    kind: EventKind,
) -> Result<(Option<Place>, Option<DatabaseConfig>), Problems> {
    let mut problems = Problems::default();
    let name = kind.type_key();
    if args.order.is_some() && !kind.is_about_order() {
        problems.add("--order", format!("{name} is about an account"));
    }
    let channel = args.channel.as_deref();
    if channel.is_some_and(|channel| !channels(kind).contains(&channel)) {
        problems.add("--channel", format!("{name} goes by mail only"));
    }
    if args.html.is_some() && channel == Some("sms") {
        problems.add("--html", "a text has no HTML");
    }
    let auth = args.auth.check(&mut problems);
    let place = match &args.order {
        Some(_) => args.place.check(&mut problems).map(Some),
        None => Some(None),
    };
    Ok((problems.finish(place)?, auth))
}

/// The order and its customer, as the notification service is told of them.
async fn read(
    id: &str,
    place: &Place,
    auth: Option<DatabaseConfig>,
) -> Result<(OrderDetails, Contact), Failure> {
    let data = place.open("shopflow templates", 2).await?;
    let found = data.orders().find(order_id(id)?).await.map_err(broken)?;
    let order = found.ok_or_else(|| unknown(id))?;
    let auth = data.beside(auth, "shopflow templates").await?;
    let users = auth.users();
    let user = users.find(order.user_id).await;
    let user = user.with_context(|| failed("auth"))?;
    let gone = || Failure::NotFound(format!("the customer of order {id} has no account"));
    let user = user.ok_or_else(gone)?;
    Ok((told(&view::order(&order))?, told(&view::user(&user))?))
}

/// By way of the answer over HTTP, so that it is read as it would be there. Amounts keep their digits.
fn told<T: DeserializeOwned>(answer: &impl Serialize) -> anyhow::Result<T> {
    let text = serde_json::to_string(answer).context("no JSON can be made of it")?;
    serde_json::from_str(&text).context("the notification service could not read it")
}

fn open(file: &Path) -> Result<(), Failure> {
    let opened = Command::new(OPENER)
        .arg(file)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    match opened.with_context(|| format!("{OPENER} cannot be run"))? {
        status if status.success() => Ok(()),
        status => Err(anyhow!("{OPENER} failed: {status}").into()),
    }
}

fn as_json(args: &TemplateRenderArgs, rendered: &Rendered, wanted: Option<Channel>) -> Value {
    let with = |channel| wanted.is_none_or(|wanted| wanted == channel);
    let email = with(Channel::Email).then(|| {
        json!({
            "subject": rendered.subject,
            "html": rendered.html,
            "plain": rendered.plain,
        })
    });
    let text = rendered.sms.as_ref().filter(|_| with(Channel::Sms));
    let sms = text.map(|text| {
        let size = SmsSize::of(text);
        json!({
            "text": text,
            "encoding": size.encoding.as_str(),
            "characters": size.characters,
            "units": size.units,
            "segments": size.segments,
        })
    });
    json!({ "name": args.name, "order_id": args.order, "email": email, "sms": sms })
}

/// The HTML is for a browser: people see the plain text.
fn as_text(
    args: &TemplateRenderArgs,
    rendered: &Rendered,
    wanted: Option<Channel>,
) -> Result<(), Failure> {
    let with = |channel| wanted.is_none_or(|wanted| wanted == channel);
    let mut parts = Vec::new();
    if with(Channel::Email) {
        let html = args.html.as_ref().map(|file| file.display().to_string());
        let head = facts(&[
            ("Subject", rendered.subject.clone()),
            ("HTML in", html.unwrap_or_default()),
        ]);
        parts.push(format!("{head}\n\n{}", rendered.plain.trim_end()));
    }
    if let Some(text) = rendered.sms.as_ref().filter(|_| with(Channel::Sms)) {
        let size = SmsSize::of(text);
        let (most, _) = size.encoding.capacity();
        let encoding = size.encoding.as_str();
        let head = facts(&[
            ("SMS", format!("{encoding}, {} of {most}", size.units)),
            ("Segments", size.segments.to_string()),
        ]);
        parts.push(format!("{head}\n\n{}", text.trim_end()));
    }
    say(&parts.join("\n\n"))
}
