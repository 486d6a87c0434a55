//! Examples for the document of the auth service. Nobody's data, and no token of it works.

use serde_json::{Value, json};

pub(super) const EMAIL: &str = "jane.doe@example.com";
pub(super) const NEW_PASSWORD: &str = "An0ther!Passw0rd";
pub(super) const JWT: &str = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJleGFtcGxlIn0.c2lnbmF0dXJl";
pub(super) const ONE_TIME: &str =
    "5f8c1e2d3b4a59687766554433221100ffeeddccbbaa99887766554433221100";

const PASSWORD: &str = "S3cur3P@ssw0rd!";
const AT: &str = "2026-02-17T10:30:00.000Z";
const USER: &str = "a1b2c3d4-e5f6-4890-abcd-ef1234567890";

/// Bodies that name the same person.
pub(super) struct Bodies {
    pub(super) registration: Value,
    pub(super) patch: Value,
    pub(super) passwords: Value,
}

pub(super) fn bodies() -> Bodies {
    Bodies {
        registration: json!({
            "email": EMAIL, "password": PASSWORD, "first_name": "Jane", "last_name": "Doe",
            "phone": "+15551234567",
        }),
        patch: json!({ "first_name": "Janet", "phone": null }),
        passwords: json!({ "current_password": PASSWORD, "new_password": NEW_PASSWORD }),
    }
}

pub(super) fn credentials() -> Value {
    json!({ "email": EMAIL, "password": PASSWORD })
}

pub(super) fn tokens() -> Value {
    json!({ "access_token": JWT, "refresh_token": JWT, "token_type": "Bearer", "expires_in": 3600 })
}

pub(super) fn registered() -> Value {
    json!({
        "id": USER, "email": EMAIL, "first_name": "Jane", "last_name": "Doe",
        "phone": "+15551234567", "role": "customer", "created_at": AT,
    })
}

pub(super) fn user() -> Value {
    let mut user = registered();
    user["is_active"] = json!(true);
    user["updated_at"] = json!(AT);
    user
}

fn page() -> Value {
    json!({ "page": 1, "limit": 20, "total_items": 1, "total_pages": 1 })
}

pub(super) fn users() -> Value {
    json!({ "data": [user()], "pagination": page() })
}

pub(super) fn audit() -> Value {
    json!({
        "data": [{
            "action": "role_changed", "from": "customer", "to": "admin",
            "actor": { "id": USER, "role": "admin" }, "at": AT,
            "request_id": "0190f3a1-7c2e-7b1a-9d3e-2f4a6b8c0d1e",
            "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
        }],
        "pagination": page(),
    })
}

pub(super) fn validated() -> Value {
    json!({ "valid": true, "user": { "id": USER, "email": EMAIL, "role": "customer" } })
}

pub(super) fn purged() -> Value {
    json!({ "data": [{ "user_id": USER, "purged_at": AT }], "next_after": null })
}
