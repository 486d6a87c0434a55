//! The ShopFlow mail sender on AWS SES (API v2, the official SDK).
//!
//! One call is one attempt: the SDK's own retries are off, since they would multiply ours.

mod error;

use std::time::Duration;

use async_trait::async_trait;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, ConfigLoader, Region};
use aws_sdk_sesv2::Client;
use aws_sdk_sesv2::config::retry::RetryConfig;
use aws_sdk_sesv2::error::{BuildError, ProvideErrorMetadata};
use aws_sdk_sesv2::types::{Body, Content, Destination, EmailContent, Message, MessageTag};
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use core_notify::{EmailSender, Mail, SendError, Standing};
use shopflow_telemetry::TRACE;
use tracing::Instrument;
use tracing::field::Empty;

/// Connecting takes milliseconds or fails.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// A whole attempt; shorter than the claim that its notification is held by.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(8);

/// Sends mails through SES.
#[derive(Clone, Debug)]
pub struct SesSender {
    client: Client,
    from: String,
}

impl SesSender {
    /// A sender in `region`, from address `from`. Credentials and, for proxies, another endpoint
    /// come from the standard `AWS_*` variables.
    pub async fn connect(region: &str, from: &str) -> Self {
        let region = Region::new(region.to_owned());
        let loader = aws_config::defaults(BehaviorVersion::latest()).region(region);
        Self::from_loader(loader, from).await
    }

    /// A sender from address `from` with the region, credentials and endpoint that `loader` finds.
    /// Time limits and retries are ours all the same.
    pub async fn from_loader(loader: ConfigLoader, from: &str) -> Self {
        let http = Builder::new()
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .build_https();
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .operation_timeout(ATTEMPT_TIMEOUT)
            .build();
        let config = loader
            .http_client(http)
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts)
            .load()
            .await;
        Self {
            client: Client::new(&config),
            from: from.to_owned(),
        }
    }

    /// How our account stands (`GetAccount`). Sends nothing.
    ///
    /// # Errors
    /// When SES does not answer, or does not let us send.
    pub async fn account(&self) -> Result<Standing, SendError> {
        let account = match self.client.get_account().send().await {
            Ok(account) => account,
            // Who may only send is known all the same, or the answer would be another.
            Err(error) if error.code() == Some("AccessDeniedException") => {
                let what = "it may not be asked for (ses:GetAccount is not allowed)";
                return Ok(Standing::Limited(what.to_owned()));
            }
            Err(error) => return Err(error::classify(&error, None)),
        };
        if !account.sending_enabled() {
            return Err(SendError::Away("sending is paused".to_owned()));
        }
        match account.production_access_enabled() {
            true => Ok(Standing::Good),
            false => Ok(Standing::Limited(
                "it is in the sandbox, and sends to verified addresses only".to_owned(),
            )),
        }
    }
}

fn message(mail: Mail<'_>) -> Result<Message, BuildError> {
    let text = |data: &str| Content::builder().data(data).charset("UTF-8").build();
    let body = Body::builder()
        .html(text(mail.html)?)
        .text(text(mail.plain)?)
        .build();
    Ok(Message::builder()
        .subject(text(mail.subject)?)
        .body(body)
        .build())
}

#[async_trait]
impl EmailSender for SesSender {
    async fn send<'a>(&self, mail: Mail<'a>) -> Result<String, SendError> {
        let unbuildable = |error: BuildError| SendError::Refused(error.to_string());
        // SES knows no idempotency token; the tag is what lets its records lead back to ours.
        let tag = MessageTag::builder()
            .name("notification_id")
            .value(mail.notification_id.to_string())
            .build()
            .map_err(unbuildable)?;
        let content = EmailContent::builder()
            .simple(message(mail).map_err(unbuildable)?)
            .build();
        let span = tracing::info_span!(
            target: TRACE,
            "ses",
            otel.name = "SESv2/SendEmail",
            otel.kind = "client",
            rpc.system.name = "aws-api",
            rpc.method = "SESv2/SendEmail",
            cloud.region = self.client.config().region().map(AsRef::as_ref),
            error.type = Empty,
        );
        let sent = self
            .client
            .send_email()
            .from_email_address(&self.from)
            .destination(Destination::builder().to_addresses(mail.to).build())
            .content(content)
            .email_tags(tag)
            .send()
            .instrument(span.clone())
            .await
            .map_err(|error| error::classify(&error, Some(mail.to)))
            .inspect_err(|error| {
                span.record("error.type", error.word());
            })?;
        Ok(sent.message_id().unwrap_or_default().to_owned())
    }
}
