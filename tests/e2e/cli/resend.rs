//! `shopflow notifications resend`: the only way in which anything goes out twice on purpose.

use serde_json::{Value, json};
use shopflow_testkit::{Channel, Fault, wait_until};

use super::{Told, told, told_with};
use crate::world::{Backend, NOTIFY, Person, SOON, World};

back_ends! {
    both:
        a_mail_goes_out_once_more_in_the_same_words_and_tells_which_it_is_again,
        a_text_goes_out_once_more_without_its_mail,
        a_resend_waits_for_a_service_that_is_down,
        a_resend_that_fails_is_a_dead_letter_and_its_replay_sends_it_once,
        what_was_not_sent_is_refused_and_led_to_the_dead_letters,
        a_mail_with_a_one_time_token_is_refused,
        without_a_yes_nothing_goes_out,
        what_is_typed_wrong_is_told_before_anything_is_done;
    servers:
        without_a_broker_it_is_told_that_nobody_knows;
}

/// The command, with the broker beside the database.
async fn resend(world: &World, id: &str, more: &[&str]) -> Told {
    let args = [&["notifications", "resend", id], more].concat();
    let broker = ("RABBITMQ_URL", world.setup.rabbitmq_url.as_str());
    match world.backend() {
        Backend::Servers => told_with(world, &args, &[broker]).await,
        Backend::Embedded => told(world, &args).await,
    }
}

/// Jane, and her mail and her text about an order, both sent.
async fn notified(world: &World) -> (Person, String, String) {
    let jane = world.customer("jane").await;
    world.place(&jane).await;
    world.wait_notified(&jane, 2, "sent").await;
    let sent = world.notifications(&jane).await;
    let by = |channel: &str| {
        let one = sent.iter().find(|one| one["channel"] == channel).unwrap();
        one["id"].as_str().unwrap().to_owned()
    };
    let (mail, text) = (by("email"), by("sms"));
    (jane, mail, text)
}

async fn over_http(world: &World, who: &Person, id: &str) -> Value {
    let client = world.notify.with_token(&who.access);
    client.get(&format!("/notifications/{id}")).await.json()
}

async fn a_mail_goes_out_once_more_in_the_same_words_and_tells_which_it_is_again(on: Backend) {
    let world = World::start(on).await;
    let (jane, mail, _) = notified(&world).await;
    let first = over_http(&world, &jane, &mail).await;
    let why = ["--reason", "she deleted it", "--yes", "--output", "json"];
    let asked = resend(&world, &mail, &why).await.json();
    assert_eq!(asked["resend_of"], mail.as_str());
    let again = asked["id"].as_str().unwrap();
    world.wait_notified(&jane, 3, "sent").await;

    let mails = world.mails().await;
    assert_eq!((mails.len(), world.texts().await.len()), (2, 1));
    let words = |at: usize| {
        (
            &mails[at].to,
            &mails[at].subject,
            &mails[at].html,
            &mails[at].text,
        )
    };
    assert_eq!(words(0), words(1));
    assert_ne!(mails[0].id, mails[1].id);

    // What customers see is a notification as any other, and the first is as it was.
    assert_eq!(over_http(&world, &jane, &mail).await, first);
    let second = over_http(&world, &jane, again).await;
    let keys = |of: &Value| of.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&second), keys(&first));
    for same in [
        "user_id",
        "order_id",
        "type",
        "recipient",
        "subject",
        "body",
    ] {
        assert_eq!(second[same], first[same], "{same}");
    }
    let shown = told(
        &world,
        &["notifications", "show", again, "--output", "json"],
    )
    .await;
    let resent = json!({ "of": mail, "by": "cli:ada", "reason": "she deleted it" });
    assert_eq!(shown.json()["resent"], resent);
    let shown = told(&world, &["notifications", "show", again]).await;
    let of = format!("{mail}, by cli:ada");
    for fact in [["Once more", &*of], ["Reason", "she deleted it"]] {
        assert!(
            shown.lines().iter().any(|line| *line == fact),
            "{}",
            shown.output
        );
    }
}

async fn a_text_goes_out_once_more_without_its_mail(on: Backend) {
    let world = World::start(on).await;
    let (jane, _, text) = notified(&world).await;
    let asked = resend(&world, &text, &["--yes"]).await;
    assert_eq!(asked.code, Some(0), "{}", asked.output);
    world.wait_notified(&jane, 3, "sent").await;
    assert_eq!(
        (world.mails().await.len(), world.texts().await.len()),
        (1, 2)
    );
}

async fn a_resend_waits_for_a_service_that_is_down(on: Backend) {
    let mut world = World::start(on).await;
    let (jane, mail, _) = notified(&world).await;
    world.kill(NOTIFY).await;
    // Two, so that neither takes the place of the other.
    for _ in 0..2 {
        let asked = resend(&world, &mail, &["--yes"]).await;
        assert_eq!(asked.code, Some(0), "{}", asked.output);
    }
    world.launch(NOTIFY);
    world.wait_ready(NOTIFY).await;
    world.wait_notified(&jane, 4, "sent").await;
    assert_eq!(world.mails().await.len(), 3);
}

async fn a_resend_that_fails_is_a_dead_letter_and_its_replay_sends_it_once(on: Backend) {
    let world = World::start(on).await;
    let (jane, mail, _) = notified(&world).await;
    world
        .fail(Channel::Email, Fault::Refuse, Some(1), None)
        .await;
    resend(&world, &mail, &["--yes"]).await;
    world.wait_notified(&jane, 1, "failed").await;
    wait_until("a dead letter", SOON, || async {
        world.dead_letters().await == 1
    })
    .await;
    let order = over_http(&world, &jane, &mail).await["order_id"].clone();
    let replay = ["dlq", "replay", "--order", order.as_str().unwrap()];
    let env = match on {
        Backend::Servers => vec![("RABBITMQ_URL", world.setup.rabbitmq_url.as_str())],
        Backend::Embedded => Vec::new(),
    };
    let replayed = told_with(&world, &replay, &env).await;
    assert_eq!(replayed.code, Some(0), "{}", replayed.output);
    world.wait_notified(&jane, 3, "sent").await;
    assert_eq!(world.mails().await.len(), 2);
}

async fn what_was_not_sent_is_refused_and_led_to_the_dead_letters(on: Backend) {
    let world = World::start(on).await;
    let jane = world.customer_with("jane", None).await;
    world
        .fail(Channel::Email, Fault::Refuse, Some(1), None)
        .await;
    world.place(&jane).await;
    world.wait_notified(&jane, 1, "failed").await;
    let id = world.notifications(&jane).await[0]["id"].clone();
    let id = id.as_str().unwrap();
    let refused = resend(&world, id, &["--yes"]).await;
    let why = format!(
        "error: {id} cannot be sent again: it is failed, and was not sent yet; to send what failed, see: shopflow dlq replay\n"
    );
    assert_eq!((refused.code, refused.output), (Some(4), why));
    assert_eq!(world.notifications(&jane).await.len(), 1);
}

async fn a_mail_with_a_one_time_token_is_refused(on: Backend) {
    let world = World::start(on).await;
    let jane = world.customer_with("jane", None).await;
    let forgot = json!({ "email": jane.email });
    let asked = world.auth.post("/auth/password/forgot", &forgot).await;
    assert!(asked.status < 300, "{}", asked.text());
    world.wait_notified(&jane, 1, "sent").await;
    let id = world.notifications(&jane).await[0]["id"].clone();
    let refused = resend(&world, id.as_str().unwrap(), &["--yes"]).await;
    assert_eq!(refused.code, Some(4), "{}", refused.output);
    let hint = "see: shopflow users reset-password";
    assert!(refused.output.contains(hint), "{}", refused.output);
}

async fn without_a_yes_nothing_goes_out(on: Backend) {
    let world = World::start(on).await;
    let (jane, mail, _) = notified(&world).await;
    let asked = resend(&world, &mail, &[]).await;
    let why = "error: --yes: is required where there is no terminal to ask at\n";
    assert_eq!((asked.code, &*asked.output), (Some(2), why));
    // What comes after it in the same queue would come after it here.
    world.place(&jane).await;
    world.wait_notified(&jane, 4, "sent").await;
    assert_eq!(world.mails().await.len(), 2);
}

async fn what_is_typed_wrong_is_told_before_anything_is_done(on: Backend) {
    let world = World::start(on).await;
    for id in ["019c6a2e-5b1f-7c3d-8e4f-5a6b7c8d9e0f", "17"] {
        let told = resend(&world, id, &["--yes"]).await;
        let said = format!("error: no notification has the id {id}\n");
        assert_eq!((told.code, told.output), (Some(3), said));
    }
    let told = resend(&world, "17", &["--yes", "--reason", " "]).await;
    let said = "error: --reason: must have 1 to 200 characters\n";
    assert_eq!((told.code, &*told.output), (Some(2), said));
}

async fn without_a_broker_it_is_told_that_nobody_knows() {
    let world = World::start(Backend::Servers).await;
    let (_, mail, _) = notified(&world).await;
    let args = ["notifications", "resend", &mail, "--yes"];
    let told_off = told(&world, &args).await;
    let why = "error: RABBITMQ_URL: is required (or RABBITMQ_URL_FILE, or --rabbitmq-url)\n";
    assert_eq!((told_off.code, &*told_off.output), (Some(2), why));
    let nobody = format!("amqp://127.0.0.1:{}/%2f", shopflow_testkit::free_port());
    let doubt = told_with(&world, &args, &[("RABBITMQ_URL", &*nobody)]).await;
    assert_eq!(doubt.code, Some(1), "{}", doubt.output);
    let said = "error: it may go out all the same; look before asking again: ";
    assert!(doubt.output.starts_with(said), "{}", doubt.output);
}
