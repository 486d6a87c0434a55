//! What SES answers, in the terms of the port.

use std::error::Error;

use aws_sdk_sesv2::config::http::HttpResponse;
use aws_sdk_sesv2::error::{ProvideErrorMetadata, SdkError};
use core_kernel::chain;
use core_notify::SendError;

type SesError<E> = SdkError<E, HttpResponse>;

/// The port's error. The recipient's address is kept out of the reason, which is logged.
pub(crate) fn classify<E>(error: &SesError<E>, recipient: Option<&str>) -> SendError
where
    E: Error + ProvideErrorMetadata + 'static,
{
    let reason = |text: String| match recipient {
        Some(recipient) => text.replace(recipient, "***"),
        None => text,
    };
    match error {
        SdkError::ServiceError(service) => {
            let status = service.raw().status().as_u16();
            let code = service.err().code().unwrap_or("unknown");
            let message = service.err().message().unwrap_or_default();
            let text = reason(format!("SES {status} {code}: {message}"));
            by_code(code, status)(text)
        }
        // The request was written and something came back: it may have been taken.
        SdkError::ResponseError(_) => SendError::Unknown(reason(chain(error))),
        SdkError::TimeoutError(_) | SdkError::DispatchFailure(_) => match reached(error) {
            Reached::Nobody => SendError::Away(reason(chain(error))),
            Reached::Perhaps => SendError::Unknown(reason(chain(error))),
        },
        _ => SendError::Away(reason(chain(error))),
    }
}

fn by_code(code: &str, status: u16) -> fn(String) -> SendError {
    match code {
        "TooManyRequestsException"
        | "LimitExceededException"
        | "ThrottlingException"
        | "Throttling" => SendError::NotNow,
        "MessageRejected" | "BadRequestException" => SendError::Refused,
        // Our account or its set-up; every other message would fare the same.
        "AccountSuspendedException"
        | "SendingPausedException"
        | "MailFromDomainNotVerifiedException"
        | "NotFoundException" => SendError::Away,
        _ => match status {
            401 | 403 => SendError::Away,
            408 | 429 => SendError::NotNow,
            400..=499 => SendError::Refused,
            _ => SendError::Unknown,
        },
    }
}

/// How far a request without an answer came.
enum Reached {
    /// It certainly never left: no connection, or no credentials to sign it with.
    Nobody,
    /// It may have been taken.
    Perhaps,
}

fn reached<E: Error + 'static>(error: &SesError<E>) -> Reached {
    let mut source: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = source {
        if let Some(client) = error.downcast_ref::<hyper_util::client::legacy::Error>() {
            return match client.is_connect() {
                true => Reached::Nobody,
                false => Reached::Perhaps,
            };
        }
        // The SDK's connect timeout has a type of its own that it does not export.
        if error.to_string().starts_with("HTTP connect timeout") {
            return Reached::Nobody;
        }
        source = error.source();
    }
    // Nothing of HTTP in it: the attempt's own time limit, or something before the request.
    match error {
        SdkError::TimeoutError(_) => Reached::Perhaps,
        _ => Reached::Nobody,
    }
}
