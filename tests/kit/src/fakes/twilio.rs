//! Twilio's messages: `POST /2010-04-01/Accounts/{sid}/Messages.json`.

use super::{Fake, Provider, json};
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{Method, Response, StatusCode, header, request::Parts};
use http_body_util::Full;
use serde_json::json as value;
use std::collections::HashMap;

/// A stand-in for Twilio; its [`Reply::Reject`](crate::Reply::Reject) takes Twilio's error code,
/// such as 21211 (no valid number) or 21610 (unsubscribed), and answers with status 400.
pub type FakeTwilio = Fake<Twilio>;

/// The protocol of Twilio.
#[derive(Debug)]
pub enum Twilio {}

/// One request to send a text message.
#[derive(Clone, Debug)]
pub struct TwilioText {
    /// The account in the path.
    pub account: String,
    /// The sender's number.
    pub from: String,
    /// The recipient's number.
    pub to: String,
    /// The text.
    pub body: String,
    /// User and password of the basic authentication, if there was one. They are not checked.
    pub credentials: Option<(String, String)>,
}

impl Provider for Twilio {
    type Message = TwilioText;
    type Rejection = u32;

    fn read(parts: &Parts, body: &Bytes) -> Option<TwilioText> {
        let path = parts.uri.path().strip_prefix("/2010-04-01/Accounts/")?;
        let account = path.strip_suffix("/Messages.json")?;
        let mut form: HashMap<_, _> = form_urlencoded::parse(body).into_owned().collect();
        if parts.method != Method::POST {
            return None;
        }
        Some(TwilioText {
            account: account.to_owned(),
            from: form.remove("From")?,
            to: form.remove("To")?,
            body: form.remove("Body")?,
            credentials: credentials(parts),
        })
    }

    fn account(parts: &Parts) -> Option<Response<Full<Bytes>>> {
        let sid = parts.uri.path().strip_prefix("/2010-04-01/Accounts/")?;
        let sid = sid.strip_suffix(".json")?;
        let asked = parts.method == Method::GET && !sid.contains('/');
        let account = value!({ "sid": sid, "status": "active", "type": "Full" });
        asked.then(|| json(StatusCode::OK, &account))
    }

    fn recipient(text: &TwilioText) -> &str {
        &text.to
    }

    fn id(number: usize) -> String {
        format!("SM{number:032x}")
    }

    fn accepted(id: &str, text: &TwilioText) -> Response<Full<Bytes>> {
        let uri = format!("/2010-04-01/Accounts/{}/Messages/{id}", text.account);
        let body = value!({
            "sid": id,
            "account_sid": text.account,
            "api_version": "2010-04-01",
            "from": text.from,
            "to": text.to,
            "body": text.body,
            "status": "queued",
            "direction": "outbound-api",
            "error_code": null,
            "error_message": null,
            "messaging_service_sid": null,
            "num_media": "0",
            "num_segments": "1",
            "price": null,
            "price_unit": "USD",
            "date_created": "Thu, 24 Aug 2023 05:01:45 +0000",
            "date_updated": "Thu, 24 Aug 2023 05:01:45 +0000",
            "date_sent": null,
            "uri": format!("{uri}.json"),
            "subresource_uris": { "media": format!("{uri}/Media.json") },
        });
        json(StatusCode::CREATED, &body)
    }

    fn throttled() -> Response<Full<Bytes>> {
        error(StatusCode::TOO_MANY_REQUESTS, 20429, "Too Many Requests")
    }

    fn in_trouble(status: StatusCode) -> Response<Full<Bytes>> {
        error(status, 20500, status.canonical_reason().unwrap_or("Error"))
    }

    fn bad_credentials() -> Response<Full<Bytes>> {
        error(StatusCode::UNAUTHORIZED, 20003, "Authenticate")
    }

    fn rejected(code: &u32) -> Response<Full<Bytes>> {
        let text = match code {
            21211 => "Invalid 'To' Phone Number",
            21610 => "Attempt to send to unsubscribed recipient",
            _ => "The message cannot be sent",
        };
        error(StatusCode::BAD_REQUEST, *code, text)
    }
}

fn error(status: StatusCode, code: u32, text: &str) -> Response<Full<Bytes>> {
    let body = value!({
        "code": code,
        "message": text,
        "more_info": format!("https://www.twilio.com/docs/errors/{code}"),
        "status": status.as_u16(),
    });
    json(status, &body)
}

fn credentials(parts: &Parts) -> Option<(String, String)> {
    let header = parts.headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let bytes = BASE64_STANDARD
        .decode(header.strip_prefix("Basic ")?)
        .ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (user, password) = text.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}
