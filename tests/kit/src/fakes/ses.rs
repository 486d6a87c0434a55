//! Amazon SES, API version 2: `POST /v2/email/outbound-emails`.

use super::{Fake, Provider, json};
use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode, header, request::Parts};
use http_body_util::Full;
use serde_json::{Value, json as value};
use std::collections::BTreeMap;

/// A stand-in for Amazon SES that reads `SendEmail` requests as the AWS SDK sends them.
pub type FakeSes = Fake<Ses>;

/// The protocol of Amazon SES.
#[derive(Debug)]
pub enum Ses {}

/// One `SendEmail` request.
#[derive(Clone, Debug)]
pub struct SesMail {
    /// The sender.
    pub from: String,
    /// The recipients; scripts for a recipient look at the first.
    pub to: Vec<String>,
    /// The subject.
    pub subject: String,
    /// The HTML part, if there is one.
    pub html: Option<String>,
    /// The plain text part, if there is one.
    pub text: Option<String>,
    /// The e-mail tags, by name.
    pub tags: BTreeMap<String, String>,
    /// The whole `Authorization` header, if there was one. Its signature is not checked.
    pub authorization: Option<String>,
}

/// The refusals that only SES knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SesRejection {
    /// 400 `MessageRejected`: this message will never be sent.
    MessageRejected,
    /// 400 `AccountSuspendedException`.
    AccountSuspended,
    /// 400 `SendingPausedException`.
    SendingPaused,
}

impl Provider for Ses {
    type Message = SesMail;
    type Rejection = SesRejection;

    fn read(parts: &Parts, body: &Bytes) -> Option<SesMail> {
        if parts.method != Method::POST || parts.uri.path() != "/v2/email/outbound-emails" {
            return None;
        }
        let body: Value = serde_json::from_slice(body).ok()?;
        let text = |pointer: &str| Some(body.pointer(pointer)?.as_str()?.to_owned());
        let list = |pointer: &str| body.pointer(pointer).and_then(Value::as_array);
        let to = list("/Destination/ToAddresses")?;
        let tags = list("/EmailTags").into_iter().flatten();
        Some(SesMail {
            from: text("/FromEmailAddress")?,
            to: to
                .iter()
                .filter_map(|address| Some(address.as_str()?.to_owned()))
                .collect(),
            subject: text("/Content/Simple/Subject/Data")?,
            html: text("/Content/Simple/Body/Html/Data"),
            text: text("/Content/Simple/Body/Text/Data"),
            tags: tags
                .filter_map(|tag| {
                    Some((
                        tag["Name"].as_str()?.to_owned(),
                        tag["Value"].as_str()?.to_owned(),
                    ))
                })
                .collect(),
            authorization: parts
                .headers
                .get(header::AUTHORIZATION)
                .map(|header| String::from_utf8_lossy(header.as_bytes()).into_owned()),
        })
    }

    fn account(parts: &Parts) -> Option<Response<Full<Bytes>>> {
        let asked = parts.method == Method::GET && parts.uri.path() == "/v2/email/account";
        let account = value!({ "SendingEnabled": true, "ProductionAccessEnabled": true });
        asked.then(|| json(StatusCode::OK, &account))
    }

    fn recipient(mail: &SesMail) -> &str {
        mail.to.first().map_or("", String::as_str)
    }

    fn id(number: usize) -> String {
        format!("ses-{number:06}")
    }

    fn accepted(id: &str, _: &SesMail) -> Response<Full<Bytes>> {
        json(StatusCode::OK, &value!({ "MessageId": id }))
    }

    fn throttled() -> Response<Full<Bytes>> {
        let status = StatusCode::TOO_MANY_REQUESTS;
        error(
            status,
            "TooManyRequestsException",
            "Maximum sending rate exceeded.",
        )
    }

    fn in_trouble(status: StatusCode) -> Response<Full<Bytes>> {
        let kind = match status {
            StatusCode::SERVICE_UNAVAILABLE => "ServiceUnavailable",
            _ => "InternalFailure",
        };
        error(status, kind, "The request could not be processed.")
    }

    fn bad_credentials() -> Response<Full<Bytes>> {
        let text = "The security token included in the request is invalid.";
        error(StatusCode::FORBIDDEN, "UnrecognizedClientException", text)
    }

    fn rejected(rejection: &SesRejection) -> Response<Full<Bytes>> {
        let (kind, text) = match rejection {
            SesRejection::MessageRejected => (
                "MessageRejected",
                "Email address is not verified in this region.",
            ),
            SesRejection::AccountSuspended => (
                "AccountSuspendedException",
                "The account's ability to send is suspended.",
            ),
            SesRejection::SendingPaused => (
                "SendingPausedException",
                "Sending is paused for this account.",
            ),
        };
        error(StatusCode::BAD_REQUEST, kind, text)
    }
}

fn error(status: StatusCode, kind: &'static str, text: &str) -> Response<Full<Bytes>> {
    let mut response = json(status, &value!({ "message": text }));
    response
        .headers_mut()
        .insert("x-amzn-errortype", HeaderValue::from_static(kind));
    response
}
