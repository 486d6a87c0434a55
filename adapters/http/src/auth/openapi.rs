//! What the auth service answers, for its document.

mod examples;

use http::StatusCode;
use serde_json::json;

use super::purged::{MAX_LIMIT, Page};
use super::{dto, shape};
use crate::error::codes;
use crate::openapi::{Access, Document, Operation, shapes, words};

/// The document of the auth service.
pub(crate) static DOCUMENT: Document = Document::new(
    "ShopFlow accounts",
    "Accounts and tokens. An access token works for an hour; a refresh token gets the next pair, \
     works once, and ends its session when it is used again.",
    operations,
);

fn operations() -> Vec<Operation> {
    let mut all = tokens();
    all.extend(mailbox());
    all.extend(users());
    all.extend(services());
    all.into_iter().map(Operation::limited).collect()
}

fn tokens() -> Vec<Operation> {
    let post = |path, id, summary| Operation::new(("POST", path), ("Tokens", id), summary);
    vec![
        post("/auth/login", "login", "Begins a session")
            .about(
                "An unknown address and a wrong password answer alike. From the sixth failure \
                 within 15 minutes on an account may be tried once after 1, 2, 4 … 60 seconds.",
            )
            .reads(
                "Credentials",
                shape::credentials(),
                &examples::credentials(),
            )
            .answers::<dto::Tokens>(StatusCode::OK, "Its first tokens.", &examples::tokens())
            .refuses([
                &codes::INVALID_CREDENTIALS,
                &codes::ACCOUNT_DEACTIVATED,
                &codes::EMAIL_NOT_VERIFIED,
            ]),
        post(
            "/auth/refresh",
            "refresh",
            "Gets the next tokens of a session",
        )
        .about("A refresh token that is used again is 401, and ends its session.")
        .reads(
            "Refresh",
            shape::refresh(),
            &json!({ "refresh_token": examples::JWT }),
        )
        .answers::<dto::Tokens>(StatusCode::OK, "Its next tokens.", &examples::tokens())
        .refuses([&codes::INVALID_TOKEN]),
        post("/auth/logout", "logout", "Ends the session")
            .by(Access::Users)
            .done(StatusCode::NO_CONTENT, "None of its tokens works any more."),
        post(
            "/auth/logout-all",
            "logoutAll",
            "Ends all sessions of the caller",
        )
        .by(Access::Users)
        .done(
            StatusCode::NO_CONTENT,
            "None of their tokens works any more.",
        ),
    ]
}

fn mailbox() -> Vec<Operation> {
    let post = |path, id, summary| Operation::new(("POST", path), ("Mails", id), summary);
    let address = json!({ "email": examples::EMAIL });
    let token = json!({ "token": examples::ONE_TIME });
    let reset = json!({ "token": examples::ONE_TIME, "new_password": examples::NEW_PASSWORD });
    let mailed = "If the address has an account, a mail is on its way.";
    vec![
        post(
            "/auth/password/forgot",
            "forgotPassword",
            "Asks for a mail to set another password",
        )
        .reads("Address", shape::address(), &address)
        .done(StatusCode::ACCEPTED, mailed),
        post(
            "/auth/password/reset",
            "resetPassword",
            "Sets another password",
        )
        .about("Ends all sessions. The token works once, for 30 minutes.")
        .reads("PasswordReset", shape::reset(), &reset)
        .done(StatusCode::NO_CONTENT, "It is set.")
        .refuses([&codes::INVALID_TOKEN]),
        post("/auth/email/verify", "verifyEmail", "Verifies an address")
            .about("The token works once, for 24 hours.")
            .reads("EmailVerification", shape::token(), &token)
            .done(StatusCode::NO_CONTENT, "It is verified.")
            .refuses([&codes::INVALID_TOKEN]),
        post(
            "/auth/email/resend",
            "resendVerification",
            "Asks for another mail to verify by",
        )
        .reads("Address", shape::address(), &address)
        .done(StatusCode::ACCEPTED, mailed),
    ]
}

fn users() -> Vec<Operation> {
    let call = |at, id, summary| Operation::new(at, ("Accounts", id), summary);
    let user = "/auth/users/{id}";
    let bodies = examples::bodies();
    vec![
        call(("POST", "/auth/register"), "register", "Makes an account")
            .about("For a customer: what a body says of a role is ignored.")
            .reads("Registration", shape::registration(), &bodies.registration)
            .answers::<dto::Registered<'_>>(
                StatusCode::CREATED,
                "The account.",
                &examples::registered(),
            )
            .refuses([&codes::EMAIL_TAKEN]),
        call(("GET", "/auth/users"), "listUsers", "Lists accounts")
            .about("For admins. Newest first.")
            .by(Access::Users)
            .pages()
            .query(
                "email",
                json!({ "type": "string" }),
                "Only this address, in either case.",
            )
            .query(
                "role",
                json!(words::user_role()),
                "Only those who are this.",
            )
            .query(
                "is_active",
                json!({ "type": "boolean" }),
                "Only those that are, or are not.",
            )
            .answers::<dto::Users<'_>>(StatusCode::OK, "A page of the list.", &examples::users())
            .refuses([&codes::FORBIDDEN]),
        call(("GET", user), "getUser", "Tells of an account")
            .about("One's own, or anyone's for admins and services.")
            .by(Access::Anyone)
            .id("user")
            .answers::<dto::Profile<'_>>(StatusCode::OK, "The account.", &examples::user())
            .refuses([&codes::FORBIDDEN]),
        call(("PATCH", user), "changeUser", "Changes an account")
            .about(
                "One's own, or anyone's for admins, who may change role and activity as well. What \
                 is absent stays. Another role ends the tokens that were issued before.",
            )
            .by(Access::Users)
            .id("user")
            .reads("UserChange", shape::patch(), &bodies.patch)
            .answers::<dto::Profile<'_>>(StatusCode::OK, "The account now.", &examples::user())
            .refuses([&codes::FORBIDDEN]),
        call(("DELETE", user), "deactivateUser", "Deactivates an account")
            .about("One's own, or anyone's for admins. Ends all its sessions.")
            .by(Access::Users)
            .id("user")
            .done(StatusCode::NO_CONTENT, "It is deactivated.")
            .refuses([&codes::FORBIDDEN]),
        call(
            ("POST", "/auth/users/{id}/password"),
            "changePassword",
            "Sets another password",
        )
        .about("One's own. Ends the other sessions. Slowed down as logins are.")
        .by(Access::Users)
        .id("user")
        .reads("PasswordChange", shape::passwords(), &bodies.passwords)
        .done(StatusCode::NO_CONTENT, "It is set.")
        .refuses([&codes::FORBIDDEN, &codes::WRONG_PASSWORD]),
        call(
            ("GET", "/auth/users/{id}/audit"),
            "listAudit",
            "Tells what became of an account",
        )
        .about("For admins. Newest first.")
        .by(Access::Users)
        .id("user")
        .pages()
        .answers::<dto::Audit<'_>>(StatusCode::OK, "A page of the list.", &examples::audit())
        .refuses([&codes::FORBIDDEN]),
    ]
}

fn services() -> Vec<Operation> {
    let call = |at, id, summary| Operation::new(at, ("For services", id), summary);
    let position = json!({ "type": "integer", "minimum": 0, "maximum": i64::MAX });
    vec![
        call(
            ("POST", "/auth/validate"),
            "validate",
            "Tells whose a token is",
        )
        .about("The token in question is the one in `Authorization`.")
        .by(Access::Anyone)
        .header(
            "X-Service-Authorization",
            json!({ "type": "string" }),
            "`Bearer` and the token of the service that asks, which is then not counted.",
        )
        .answers::<dto::Validated<'_>>(
            StatusCode::OK,
            "It is good.",
            &examples::validated(),
        ),
        call(
            ("GET", "/auth/one-time-tokens/{id}"),
            "getOneTimeToken",
            "Tells a one-time token",
        )
        .about("For services, which put it into the mail.")
        .by(Access::Services)
        .id("token")
        .answers::<dto::Told<'_>>(
            StatusCode::OK,
            "The token.",
            &json!({ "token": examples::ONE_TIME }),
        )
        .refuses([&codes::FORBIDDEN, &codes::GONE]),
        call(
            ("GET", "/auth/purged-users"),
            "listPurgedUsers",
            "Tells whose data is to be let go of",
        )
        .about("For services and admins. All of them, oldest first.")
        .by(Access::Anyone)
        .query("after", position, "`next_after` of the page before.")
        .query(
            "limit",
            shapes::integer(1, MAX_LIMIT),
            "How many, 1000 unless told.",
        )
        .answers::<Page>(StatusCode::OK, "A page of them.", &examples::purged())
        .refuses([&codes::FORBIDDEN]),
    ]
}
