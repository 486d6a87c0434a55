//! `shopflow templates`.

use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};
use shopflow_testkit::Channel;

use super::{told, told_with};
use crate::world::{Backend, World, run};

back_ends! {
    both:
        an_order_is_rendered_to_the_letter_as_it_was_sent,
        an_order_that_is_unknown_cannot_be_rendered;
    servers:
        the_customer_is_read_from_a_database_of_its_own;
}

/// What `templates render` tells a program.
async fn rendered(world: &World, name: &str, order: &str) -> Value {
    let args = ["templates", "render", name, "--order", order];
    told(world, &[&args[..], &["--output", "json"]].concat())
        .await
        .json()
}

async fn an_order_is_rendered_to_the_letter_as_it_was_sent(on: Backend) {
    let world = World::start(on).await;
    let jane = world.customer("jane").await;
    let order = world.place(&jane).await["id"].as_str().unwrap().to_owned();
    world.wait_notified(&jane, 2, "sent").await;
    let shown = rendered(&world, "order_created", &order).await;
    let (mails, texts) = (world.mails().await, world.texts().await);
    assert_eq!(
        shown["email"],
        json!({
            "subject": mails[0].subject, "html": mails[0].html, "plain": mails[0].text,
        })
    );
    assert_eq!(shown["sms"]["text"], texts[0].text);
    assert_eq!(shown["order_id"], order);
    let sms = ["--channel", "sms", "--order", &order];
    let args = [&["templates", "render", "order_created"], &sms[..]].concat();
    let table = told(&world, &args).await;
    let characters = texts[0].text.chars().count();
    let size = format!("GSM-7, {characters} of 160");
    let wanted = format!("SMS       {size}\nSegments  1\n\n{}\n", texts[0].text);
    assert_eq!((table.code, table.output), (Some(0), wanted));
    assert_eq!(
        world.attempts(Channel::Email).await.len(),
        1,
        "nothing is sent"
    );
}

async fn an_order_that_is_unknown_cannot_be_rendered(on: Backend) {
    let world = World::start(on).await;
    for id in ["b2c3d4e5-f6a7-4901-8cde-f12345678901", "17"] {
        let args = ["templates", "render", "order_created", "--order", id];
        let told = told(&world, &args).await;
        let said = format!("error: no order has the id {id}\n");
        assert_eq!((told.code, told.output), (Some(3), said));
    }
}

async fn the_customer_is_read_from_a_database_of_its_own() {
    let world = World::start(Backend::Servers).await;
    let jane = world.customer("jane").await;
    let order = world.place(&jane).await["id"].as_str().unwrap().to_owned();
    let args = ["templates", "render", "order_created", "--order", &order];
    let nobody = format!("postgres://127.0.0.1:{}/x", shopflow_testkit::free_port());
    let elsewhere = [("AUTH_DATABASE_URL", nobody.as_str())];
    let told_off = told_with(&world, &args, &elsewhere).await;
    assert_eq!(told_off.code, Some(1), "{}", told_off.output);
    assert!(
        told_off.output.starts_with("error: auth ("),
        "{}",
        told_off.output
    );
    let auth = [("AUTH_DATABASE_URL", world.setup.database_url.as_str())];
    let told = told_with(&world, &args, &auth).await;
    assert_eq!(told.code, Some(0), "{}", told.output);
}

#[tokio::test]
async fn the_templates_of_the_program_pass_their_check() {
    let (code, output) = run(&["templates", "check"], &[]).await;
    assert_eq!((code, &*output), (Some(0), "ok\n"));
}

#[tokio::test]
async fn what_a_template_has_not_is_exit_code_two() {
    for (args, said) in [
        (
            &["password_reset", "--channel", "sms"][..],
            "error: --channel: password_reset goes by mail only\n",
        ),
        (
            &["password_reset", "--order", "17", "--data-dir", "x"],
            "error: --order: password_reset is about an account\n",
        ),
        (
            &["order_created", "--channel", "sms", "--html", "x.html"],
            "error: --html: a text has no HTML\n",
        ),
    ] {
        let (code, output) = run(&[&["templates", "render"], args].concat(), &[]).await;
        assert_eq!((code, &*output), (Some(2), said));
    }
    let (code, output) = run(&["templates", "render", "order_creatd"], &[]).await;
    assert_eq!(code, Some(2));
    assert!(output.contains("'order_created'"), "{output}");
}

#[tokio::test]
async fn the_html_is_written_and_shown_in_a_browser() {
    let folder = tempfile::tempdir().unwrap();
    let (html, shown) = (folder.path().join("mail.html"), folder.path().join("shown"));
    for opener in ["xdg-open", "open"] {
        let path = folder.path().join(opener);
        let script = format!("#!/bin/sh\nprintf %s \"$1\" > '{}'\n", shown.display());
        std::fs::write(&path, script).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let file = html.to_str().unwrap();
    let args = [
        "templates",
        "render",
        "order_created",
        "--html",
        file,
        "--open",
    ];
    let (code, output) = run(&args, &[("PATH", folder.path().to_str().unwrap())]).await;
    assert_eq!(code, Some(0), "{output}");
    let written = std::fs::read_to_string(&html).unwrap();
    assert!(
        written.contains("Your order #b2c3d4e5 has been placed."),
        "{written}"
    );
    assert_eq!(std::fs::read_to_string(&shown).unwrap(), file);

    std::fs::remove_file(folder.path().join("xdg-open")).unwrap();
    std::fs::remove_file(folder.path().join("open")).unwrap();
    let (code, output) = run(&args, &[("PATH", folder.path().to_str().unwrap())]).await;
    assert_eq!(code, Some(1));
    assert!(output.contains("cannot be run"), "{output}");
}
