//! The ShopFlow text message sender on Twilio's Messages API: one form-encoded POST with basic
//! authentication a message.

use std::time::Duration;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use core_kernel::chain;
use core_notify::{SendError, SmsSender, Standing, Text};
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Request, StatusCode};
use http_body_util::Full;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use shopflow_http::{CallError, HttpClient, outcome, port, without_user};
use shopflow_telemetry::TRACE;
use tracing::Instrument;
use tracing::field::Empty;

/// A whole attempt; shorter than the claim that its notification is held by.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(8);

/// Twilio's own address.
pub const DEFAULT_BASE_URL: &str = "https://api.twilio.com";

/// Our account with Twilio.
#[derive(Clone, Debug)]
pub struct Account {
    /// `AC…`.
    pub sid: String,
    /// Its token.
    pub auth_token: SecretString,
    /// The number that texts come from (E.164).
    pub from: String,
}

/// Sends text messages through Twilio.
#[derive(Clone, Debug)]
pub struct TwilioSender {
    client: HttpClient,
    url: String,
    authorization: HeaderValue,
    from: String,
}

/// Credentials that no header can carry.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the Twilio credentials have characters that no header can carry")]
pub struct CredentialsError;

impl TwilioSender {
    /// A sender for `account`; `base_url` is [`DEFAULT_BASE_URL`] but for tests and proxies.
    ///
    /// # Errors
    /// When the credentials cannot be sent.
    pub fn new(
        client: HttpClient,
        base_url: &str,
        account: &Account,
    ) -> Result<Self, CredentialsError> {
        let credentials = format!("{}:{}", account.sid, account.auth_token.expose_secret());
        let basic = format!("Basic {}", STANDARD.encode(credentials));
        let mut authorization = HeaderValue::try_from(basic).map_err(|_| CredentialsError)?;
        authorization.set_sensitive(true);
        let base_url = base_url.trim_end_matches('/');
        Ok(Self {
            client,
            url: format!(
                "{base_url}/2010-04-01/Accounts/{}/Messages.json",
                account.sid
            ),
            authorization,
            from: account.from.clone(),
        })
    }
}

#[derive(Deserialize)]
struct Described {
    status: String,
    #[serde(rename = "type")]
    kind: Option<String>,
}

impl TwilioSender {
    /// How our account stands. Sends nothing.
    ///
    /// # Errors
    /// When Twilio does not answer, or does not let us send.
    pub async fn account(&self) -> Result<Standing, SendError> {
        let url = self.url.replace("/Messages.json", ".json");
        let request = Request::get(url)
            .header(AUTHORIZATION, self.authorization.clone())
            .body(Full::default())
            .map_err(|error| SendError::Away(error.to_string()))?;
        let answer = self.client.call(request, ATTEMPT_TIMEOUT).await;
        let (status, body) = answer.map_err(|error| SendError::Away(chain(&error)))?;
        if !status.is_success() {
            return Err(refusal(status, &body, None));
        }
        let account: Described = serde_json::from_slice(&body)
            .map_err(|error| SendError::Unknown(format!("Twilio {status}: {error}")))?;
        match (account.status.as_str(), account.kind.as_deref()) {
            ("active", Some("Trial")) => Ok(Standing::Limited(
                "it is a trial, and sends to verified numbers only".to_owned(),
            )),
            ("active", _) => Ok(Standing::Good),
            (status, _) => Err(SendError::Away(format!("the account is {status}"))),
        }
    }
}

#[derive(Deserialize)]
struct Accepted {
    sid: String,
}

#[derive(Deserialize)]
struct Problem {
    code: Option<serde_json::Value>,
    message: Option<String>,
}

#[async_trait]
impl SmsSender for TwilioSender {
    async fn send<'a>(&self, text: Text<'a>) -> Result<String, SendError> {
        let form: String = form_urlencoded::Serializer::new(String::new())
            .append_pair("To", text.to)
            .append_pair("From", &self.from)
            .append_pair("Body", text.body)
            .finish();
        let request = Request::post(&self.url)
            .header(AUTHORIZATION, self.authorization.clone())
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Full::new(Bytes::from(form)))
            .map_err(|error| SendError::Away(error.to_string()))?;
        let span = tracing::info_span!(
            target: TRACE,
            "twilio",
            otel.kind = "client",
            http.request.method = "POST",
            url.template = "/2010-04-01/Accounts/{sid}/Messages.json",
            url.full = without_user(request.uri()),
            server.address = request.uri().host(),
            server.port = port(request.uri()),
            http.response.status_code = Empty,
            error.type = Empty,
        );
        let called = self.client.call(request, ATTEMPT_TIMEOUT);
        let answer = called.instrument(span.clone()).await;
        outcome(&span, &answer);
        let (status, body) = answer.map_err(|error| match error {
            CallError::Connect(_) => SendError::Away(chain(&error)),
            CallError::Broken(_) | CallError::TimedOut(_) => SendError::Unknown(chain(&error)),
        })?;
        if status.is_success() {
            // Taken, but the answer cannot be read: it may be on its way.
            return serde_json::from_slice::<Accepted>(&body)
                .map(|accepted| accepted.sid)
                .map_err(|error| SendError::Unknown(format!("Twilio {status}: {error}")));
        }
        Err(refusal(status, &body, Some(text.to)))
    }
}

/// The port's error. The recipient's number is kept out of the reason, which is logged.
fn refusal(status: StatusCode, body: &[u8], recipient: Option<&str>) -> SendError {
    let problem = serde_json::from_slice(body).unwrap_or(Problem {
        code: None,
        message: None,
    });
    let code = problem
        .code
        .and_then(|code| code.as_u64())
        .unwrap_or_default();
    let message = problem.message.unwrap_or_default();
    let message = match recipient {
        Some(recipient) => message.replace(recipient, "***"),
        None => message,
    };
    let reason = format!("Twilio {} {code}: {message}", status.as_u16());
    match (status.as_u16(), code) {
        // Our own number or account is wrong; every other message would fare the same.
        (_, 20003 | 20005 | 21212 | 21603 | 21606 | 21659 | 21660) | (401 | 403 | 404, _) => {
            SendError::Away(reason)
        }
        // "Never processed and always safe to retry" (Twilio, error 20429).
        (408 | 429, _) => SendError::NotNow(reason),
        (400..=499, _) => SendError::Refused(reason),
        _ => SendError::Unknown(reason),
    }
}
