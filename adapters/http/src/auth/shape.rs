//! What the bodies of the auth service must look like; `dto.rs` reads them.

use core_auth::PersonName;
use serde_json::{Value, json};

use crate::openapi::shapes::{about, email, new_password, object, or_null, phone, string, text};
use crate::openapi::words;

/// `POST /auth/register`.
pub(super) fn registration() -> Value {
    object(
        4,
        [
            ("email", about(email(), "Compared and kept in lower case.")),
            ("password", new_password()),
            ("first_name", text(PersonName::MAX)),
            ("last_name", text(PersonName::MAX)),
            ("phone", about(or_null(phone()), "Where texts go (E.164).")),
        ],
    )
}

/// `POST /auth/login`.
pub(super) fn credentials() -> Value {
    let (email, password) = (string("The address."), string("The password."));
    object(2, [("email", email), ("password", password)])
}

/// `POST /auth/refresh`.
pub(super) fn refresh() -> Value {
    object(
        1,
        [(
            "refresh_token",
            string("The newest of its session. It works once."),
        )],
    )
}

/// `POST /auth/password/forgot`, `POST /auth/email/resend`.
pub(super) fn address() -> Value {
    object(1, [("email", string("The address."))])
}

/// `POST /auth/email/verify`.
pub(super) fn token() -> Value {
    object(1, [("token", string("The token from the mail."))])
}

/// `POST /auth/password/reset`.
pub(super) fn reset() -> Value {
    let token = string("The token from the mail.");
    object(2, [("token", token), ("new_password", new_password())])
}

/// `PATCH /auth/users/{id}`.
pub(super) fn patch() -> Value {
    object(
        0,
        [
            ("first_name", text(PersonName::MAX)),
            ("last_name", text(PersonName::MAX)),
            ("phone", about(or_null(phone()), "`null` clears it.")),
            ("role", about(json!(words::user_role()), "For admins.")),
            (
                "is_active",
                json!({ "type": "boolean", "description": "For admins." }),
            ),
        ],
    )
}

/// `POST /auth/users/{id}/password`.
pub(super) fn passwords() -> Value {
    let current = string("The password until now.");
    object(
        2,
        [
            ("current_password", current),
            ("new_password", new_password()),
        ],
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::dto;
    use crate::openapi::testing::assert_read_so;

    #[test]
    fn accounts_are_read_as_the_document_says() {
        assert_read_so(&registration(), |body| dto::registration(body).err());
        assert_read_so(&credentials(), |body| dto::credentials(body).err());
        assert_read_so(&refresh(), |body| dto::refresh_token(body).err());
        assert_read_so(&address(), |body| dto::address(body).err());
        assert_read_so(&token(), |body| dto::one_time_token(body).err());
        assert_read_so(&reset(), |body| dto::reset(body).err());
        assert_read_so(&patch(), |body| dto::patch(body).err());
        assert_read_so(&passwords(), |body| dto::passwords(body).err());
    }
}
