//! Every kind of problem that a client can meet: the one list that answers and documents are made of.

use http::StatusCode;

/// A kind of problem. Status and word are the API's promise; texts may change.
#[derive(Debug)]
pub(crate) struct Code {
    /// The status it is answered with.
    pub(crate) status: StatusCode,
    /// `code` of the problem document.
    pub(crate) word: &'static str,
    /// What it means, for documents.
    pub(crate) meaning: &'static str,
}

/// Writes the list: each kind as a constant, and all of them.
macro_rules! codes {
    ($($name:ident = $status:ident $word:literal $meaning:literal;)+) => {
        $(
            pub(crate) const $name: Code = Code {
                status: StatusCode::$status,
                word: $word,
                meaning: $meaning,
            };
        )+

        /// All of them, by status.
        pub(crate) const ALL: &[&Code] = &[$(&$name),+];
    };
}

codes! {
    VALIDATION_FAILED = BAD_REQUEST "validation_failed" "The request has faults; `errors` names them all.";
    MALFORMED_JSON = BAD_REQUEST "malformed_json" "The body is no JSON.";
    INVALID_TRANSITION = BAD_REQUEST "invalid_transition" "The order cannot go to this state from where it is; `allowed` names the states that may follow.";
    BAD_REQUEST = BAD_REQUEST "bad_request" "The request does not name one `Host`.";
    INVALID_TOKEN = UNAUTHORIZED "invalid_token" "There is no token, or it does not count (any more).";
    INVALID_CREDENTIALS = UNAUTHORIZED "invalid_credentials" "The email or the password is wrong.";
    FORBIDDEN = FORBIDDEN "forbidden" "The caller may not do this.";
    WRONG_PASSWORD = FORBIDDEN "invalid_credentials" "The current password is wrong.";
    ACCOUNT_DEACTIVATED = FORBIDDEN "account_deactivated" "The account is deactivated.";
    EMAIL_NOT_VERIFIED = FORBIDDEN "email_not_verified" "The email address has yet to be verified.";
    NOT_FOUND = NOT_FOUND "not_found" "There is nothing with this id, or at this path.";
    METHOD_NOT_ALLOWED = METHOD_NOT_ALLOWED "method_not_allowed" "The path does not have this method; `Allow` lists those it has.";
    REQUEST_TIMEOUT = REQUEST_TIMEOUT "request_timeout" "The body did not arrive in time.";
    EMAIL_TAKEN = CONFLICT "email_taken" "The email address has an account.";
    ALREADY_IN_STATE = CONFLICT "already_in_state" "The order is in this state already.";
    REQUEST_IN_PROGRESS = CONFLICT "request_in_progress" "The first request with this `Idempotency-Key` is still being worked on. Try again a second later.";
    GONE = GONE "gone" "It was there, and is good for nothing any more.";
    PAYLOAD_TOO_LARGE = PAYLOAD_TOO_LARGE "payload_too_large" "The body is larger than 256 KiB.";
    UNSUPPORTED_MEDIA_TYPE = UNSUPPORTED_MEDIA_TYPE "unsupported_media_type" "The `Content-Type` is not `application/json`.";
    IDEMPOTENCY_KEY_REUSED = UNPROCESSABLE_ENTITY "idempotency_key_reused" "The `Idempotency-Key` was used for a request with another body.";
    RATE_LIMITED = TOO_MANY_REQUESTS "rate_limited" "Too many requests; `Retry-After` tells when to try again.";
    INTERNAL = INTERNAL_SERVER_ERROR "internal" "Something went wrong on our side.";
    UNAVAILABLE = SERVICE_UNAVAILABLE "unavailable" "Something that the service needs is away. Try again after `Retry-After`.";
}

#[cfg(test)]
mod tests {
    use super::ALL;

    #[test]
    fn the_guide_tells_what_to_do_about_every_problem() {
        let guide = include_str!("../../../../docs/api-guide.md");
        for code in ALL {
            let status = code.status.as_str();
            let word = format!("`{}`", code.word);
            let rows = guide.lines().filter(|line| line.starts_with("| "));
            let mut rows = rows.filter(|row| row.contains(status) && row.contains(&word));
            assert!(rows.next().is_some(), "{status} {word} is missing");
        }
    }
}
