//! What must not be seen: nothing that belongs to a person, and no secret, is in any output.

use serde_json::{Value, json};
use shopflow_testkit::{Channel, Collector, Fault, JWT_SECRET, Service, wait_for};

use crate::world::{Backend, PASSWORD, SOON, World, new_order};

back_ends! {
    both: nothing_personal_and_no_secret_is_in_any_output;
}

const EMAIL: &str = "zoe.quixote@private.example";
const PHONE: &str = "+15557654321";
const OTHER: &str = "An0therS3cret!phrase";

/// All texts in a JSON value that are long enough to be found by themselves.
fn texts(value: &Value, into: &mut Vec<String>) {
    match value {
        Value::String(text) => into.push(text.clone()),
        Value::Array(all) => all.iter().for_each(|one| texts(one, into)),
        Value::Object(all) => all.values().for_each(|one| texts(one, into)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

async fn nothing_personal_and_no_secret_is_in_any_output(on: Backend) {
    let collector = Collector::start().await;
    let world = World::start_with(on, |setup| {
        let endpoint = collector.endpoint().to_owned();
        setup.extra.push(("LOG_LEVEL", "trace".into()));
        setup.extra.push(("EMAIL_VERIFICATION", "true".into()));
        setup.extra.push(("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint));
        setup.extra.push(("OTEL_BSP_SCHEDULE_DELAY", "100".into()));
    })
    .await;
    let hidden = use_everything(&world).await;
    collector
        .wait_for("the spans of a mail", SOON, |spans| {
            spans.iter().any(|span| span.name.starts_with("process "))
        })
        .await;

    let each: &[Service] = match on {
        Backend::Servers => &Service::ALL,
        Backend::Embedded => &[Service::Auth],
    };
    let mut seen: Vec<(String, String)> = Vec::new();
    for service in each {
        // What `shopflow dev` says on standard output are its made-up accounts, for whoever tries it.
        seen.push((service.name().to_owned(), world.log(*service)));
    }
    seen.push(("traces".to_owned(), format!("{:?}", collector.spans())));
    for (place, output) in seen {
        assert!(output.len() > 1000, "{place} tells something");
        for secret in &hidden {
            let line = output.lines().find(|line| line.contains(secret.as_str()));
            assert_eq!(line, None, "{secret:?} in the output of {place}");
        }
    }
}

/// Registers, orders, fails, resets: whatever has to do with persons and secrets. All that must not be
/// seen afterwards.
async fn use_everything(world: &World) -> Vec<String> {
    let person = json!({
        "email": EMAIL, "password": PASSWORD, "phone": PHONE,
        "first_name": "Zoeanne", "last_name": "Quixotelli",
    });
    let registered = world.auth.post("/auth/register", &person).await;
    assert_eq!(registered.status, 201, "{}", registered.text());
    let zoe = world.login(EMAIL).await;
    // Refused in all ways, each of which is logged.
    let wrong = json!({ "email": EMAIL, "password": OTHER });
    assert_eq!(world.auth.post("/auth/login", &wrong).await.status, 401);
    assert_eq!(world.auth.post("/auth/register", &person).await.status, 409);
    let forged = format!("{}x", zoe.access);
    let refused = world.orders.with_token(&forged).get("/orders").await;
    assert_eq!(refused.status, 401);

    let (email, sms) = (Channel::Email, Channel::Sms);
    world.fail(email, Fault::Throttle, Some(1), None).await;
    world.fail(sms, Fault::Refuse, Some(1), None).await;
    let order = world.place(&zoe).await;
    assert!(order["id"].is_string());
    let forgot = json!({ "email": EMAIL });
    let asked = world.auth.post("/auth/password/forgot", &forgot).await;
    assert_eq!(asked.status, 202);
    let sent = wait_for("the mails", SOON, async || {
        let sent = world.mails().await;
        (sent.len() >= 3).then_some(sent)
    })
    .await;

    let mut hidden = vec![
        EMAIL.into(),
        PHONE.into(),
        PASSWORD.into(),
        OTHER.into(),
        "Zoeanne".into(),
        "Quixotelli".into(),
        zoe.access.clone(),
        zoe.refresh.clone(),
        world.jwt_secret(),
    ];
    // A token's signature alone is as good as the token to whoever knows the rest.
    let tokens = [zoe.access.as_str(), zoe.refresh.as_str(), forged.as_str()];
    for token in tokens {
        hidden.extend(token.rsplit('.').next().map(str::to_owned));
    }
    let order = new_order();
    for part in ["street", "city"] {
        texts(&order["shipping_address"][part], &mut hidden);
    }
    texts(&order["notes"], &mut hidden);
    for mail in &sent {
        let tokens = mail.text.split_whitespace().filter(|word| word.len() > 40);
        hidden.extend(tokens.map(str::to_owned));
    }
    if world.backend() == Backend::Servers {
        hidden.push(JWT_SECRET.into());
        hidden.push("twilio-token".into());
        for service in [Service::Orders, Service::Notify] {
            let settings = world.environment(service).into_iter();
            let tokens = settings.filter(|(name, _)| name.ends_with("_TOKEN"));
            hidden.extend(tokens.map(|(_, token)| token));
        }
    }
    hidden
}
