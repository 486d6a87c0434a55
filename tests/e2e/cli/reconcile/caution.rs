//! What is not mended, so that nothing goes out that should not, or twice; and asking first.

use std::io::Write;
use std::process::{Command, Stdio};

use shopflow_testkit::{Channel, Fault, wait_until};

use super::{ALL, forget, found, lines, mailed, reconcile, settled};
use crate::cli::{broker, told_with};
use crate::world::{Backend, NOTIFY, ORDERS, SOON, World, shopflow};

back_ends! {
    both:
        what_is_a_dead_letter_is_left_to_who_replays_it,
        what_was_discarded_as_a_dead_letter_is_not_found,
        what_is_forgotten_is_mended_only_by_a_flag_of_its_own,
        a_resend_that_is_stuck_is_not_advised_while_its_event_is_somewhere,
        at_a_terminal_the_findings_come_before_the_question,
        at_a_terminal_a_finding_is_shown_once,
        a_result_that_is_piped_on_has_what_was_shown_at_the_terminal;
    servers:
        nothing_is_mended_without_a_broker_or_unasked;
}

/// Jane's order whose mail was refused, once its dead letter is there; with the letter's id.
async fn refused(on: Backend) -> (World, String) {
    let world = World::start(on).await;
    let jane = world.customer_with("jane", None).await;
    let refuse = world.fail(Channel::Email, Fault::Refuse, Some(1), None);
    refuse.await;
    world.place(&jane).await;
    wait_until("the dead letter is there", SOON, async || {
        world.dead_letters().await == 1
    })
    .await;
    let list = ["dlq", "list", "--output", "json"];
    let listed = told_with(&world, &list, &broker(&world)).await.json();
    let id = listed["data"][0]["message_id"].as_str().unwrap().to_owned();
    (world, id)
}

async fn what_is_a_dead_letter_is_left_to_who_replays_it(on: Backend) {
    let world = World::start(on).await;
    let jane = world.customer_with("jane", None).await;
    let refuse = world.fail(Channel::Email, Fault::Refuse, Some(1), None);
    refuse.await;
    let order = world.place(&jane).await["id"].as_str().unwrap().to_owned();
    wait_until("the dead letter is there", SOON, async || {
        world.dead_letters().await == 1
    })
    .await;
    // With or without its event in the outbox: its letter may be known by the order alone.
    for table in ["notifications", "order_outbox"] {
        forget(&world, &[table]).await;
        let told = reconcile(&world, &["--fix", "--yes"]).await;
        assert_eq!(told.code, Some(1), "{}", told.output);
        let (findings, _) = lines(&told);
        let why = format!("it is a dead letter; see: shopflow dlq list --order {order}");
        assert_eq!(findings[0]["why_not"], why);
    }
    assert_eq!(world.mails().await.len(), 0);
}

async fn what_was_discarded_as_a_dead_letter_is_not_found(on: Backend) {
    let (world, letter) = refused(on).await;
    let discard = ["dlq", "discard", &letter, "--reason", "a test", "--yes"];
    let discarded = told_with(&world, &discard, &broker(&world)).await;
    assert_eq!(discarded.code, Some(0), "{}", discarded.output);
    // Known by its id, and by its order alone once the outbox has let go of it.
    for table in ["notifications", "order_outbox"] {
        forget(&world, &[table]).await;
        let told = reconcile(&world, &["--fix", "--yes"]).await;
        assert_eq!(told.code, Some(0), "{table}: {}", told.output);
        assert_eq!(found(&told), Vec::<String>::new());
    }
    assert_eq!(world.mails().await.len(), 0);
}

async fn what_is_forgotten_is_mended_only_by_a_flag_of_its_own(on: Backend) {
    let (world, jane, _) = mailed(on).await;
    forget(&world, &ALL).await;
    let long_ago = match on {
        Backend::Servers => "- interval '10 days'",
        Backend::Embedded => "- 864000000000",
    };
    for (table, column) in [("orders", "created_at"), ("order_history", "at")] {
        let sql = format!("UPDATE {table} SET {column} = {column} {long_ago}");
        world.execute(&sql).await;
    }
    let mails = world.mails().await.len();
    let told = reconcile(&world, &["--fix", "--yes"]).await;
    assert_eq!(told.code, Some(1), "{}", told.output);
    let (findings, sum) = lines(&told);
    assert_eq!(findings[0]["found"], "event_missing");
    let why = findings[0]["why_not"].as_str().unwrap();
    assert!(why.contains("a dlq replay that runs now"), "{why}");
    assert!(why.ends_with("add --forgotten"), "{why}");
    assert_eq!((&sum["mended"], &sum["left"]), (&0.into(), &1.into()));
    assert_eq!(world.count("SELECT count(*) FROM order_outbox").await, 0);

    let fixed = reconcile(&world, &["--fix", "--yes", "--forgotten"]).await;
    assert_eq!(fixed.code, Some(0), "{}", fixed.output);
    world.wait_notified(&jane, 2, "sent").await;
    settled(&world).await;
    assert_eq!(world.mails().await.len(), mails + 1);
}

async fn a_resend_that_is_stuck_is_not_advised_while_its_event_is_somewhere(on: Backend) {
    let (world, letter) = refused(on).await;
    // As a resend is whose event was given up before anything came of it.
    let sql = "UPDATE notifications SET status = 'queued', resend_of = id, resent_by = 'cli:ada'";
    world.execute(sql).await;
    let advice = async || {
        let told = reconcile(&world, &[]).await;
        let (findings, _) = lines(&told);
        assert_eq!(findings[0]["found"], "queued_stale", "{}", told.output);
        findings[0]["why_not"].as_str().unwrap().to_owned()
    };
    let dead = format!("its event is a dead letter; see: shopflow dlq replay {letter}");
    assert_eq!(advice().await, dead);
    // Taken away by something else than a discard, which would settle it.
    let export = ["dlq", "purge", "--yes"];
    told_with(&world, &export, &broker(&world)).await;
    forget(&world, &["dead_letter_log"]).await;
    let nowhere =
        "its event is nowhere any more; send the first one again: shopflow notifications resend";
    assert_eq!(advice().await, nowhere);
}

async fn at_a_terminal_the_findings_come_before_the_question(on: Backend) {
    let (world, jane, order) = mailed(on).await;
    forget(&world, &ALL).await;
    let no = at_terminal(&world, "n", "");
    let found = no.find(&format!("event_missing    {order}"));
    let asked = no.find("Let the event of 1 finding go out? [y/N]");
    assert!(found.is_some() && found < asked, "{no}");
    assert!(no.contains("error: nothing was done"), "{no}");
    assert_eq!(world.count("SELECT count(*) FROM order_outbox").await, 0);

    let yes = at_terminal(&world, "y", "");
    assert!(yes.contains("1 found, 1 mended"), "{yes}");
    world.wait_notified(&jane, 2, "sent").await;
}

async fn at_a_terminal_a_finding_is_shown_once(on: Backend) {
    let (world, _, order) = mailed(on).await;
    forget(&world, &ALL).await;
    let shown = at_terminal(&world, "y", "");
    let finding = format!("event_missing    {order}");
    assert_eq!(shown.matches(&finding).count(), 1, "{shown}");
}

async fn a_result_that_is_piped_on_has_what_was_shown_at_the_terminal(on: Backend) {
    let (world, _, order) = mailed(on).await;
    forget(&world, &ALL).await;
    let result = tempfile::NamedTempFile::new().unwrap();
    let to_file = format!(" > {}", result.path().display());
    let shown = at_terminal(&world, "y", &to_file);
    let finding = format!("event_missing    {order}");
    assert!(shown.contains(&finding), "{shown}");
    let piped = std::fs::read_to_string(result.path()).unwrap();
    assert!(piped.starts_with(&finding), "{piped}");
}

/// What a terminal shows at which `reconcile --fix` runs and somebody gives this answer. `to` is where
/// the shell puts the result, if not there.
fn at_terminal(world: &World, answer: &str, to: &str) -> String {
    let mut command = format!("{} reconcile --fix --older-than 0s", shopflow());
    let mut env = vec![("USER", "ada"), ("TZ", "UTC")];
    match world.data_dir() {
        Some(data) => command.push_str(&format!(" --data-dir {}", data.display())),
        None => env.push(("DATABASE_URL", &world.setup.database_url)),
    }
    command.push_str(to);
    env.extend(broker(world));
    // util-linux has it, and so has every Debian.
    let mut terminal = Command::new("script")
        .args(["--quiet", "--command", &command, "/dev/null"])
        .envs(env)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut keys = terminal.stdin.take().unwrap();
    writeln!(keys, "{answer}").unwrap();
    let shown = terminal.wait_with_output().unwrap().stdout;
    String::from_utf8(shown).unwrap()
}

/// Nothing is opened before that: neither of these answers.
#[tokio::test]
async fn whether_it_can_be_asked_is_looked_at_first() {
    let nowhere = [
        ("DATABASE_URL", "postgres://127.0.0.1:9/none"),
        ("RABBITMQ_URL", "amqp://127.0.0.1:9/%2f"),
    ];
    let (code, output) = crate::world::run(&["reconcile", "--fix"], &nowhere).await;
    let said = "error: --yes: is required where there is no terminal to ask at\n";
    assert_eq!((code, &*output), (Some(2), said));
}

async fn nothing_is_mended_without_a_broker_or_unasked() {
    let (mut world, _, _) = mailed(Backend::Servers).await;
    for service in [ORDERS, NOTIFY] {
        world.kill(service).await;
    }
    forget(&world, &ALL).await;
    let args = ["reconcile", "--fix", "--yes", "--older-than", "0s"];
    let told = told_with(&world, &args, &[]).await;
    assert_eq!(told.code, Some(2), "{}", told.output);
    assert!(told.output.contains("RABBITMQ_URL"), "{}", told.output);
    let told = reconcile(&world, &["--fix"]).await;
    assert_eq!(told.code, Some(2), "{}", told.output);
    assert!(told.output.contains("--yes"), "{}", told.output);
    assert_eq!(world.count("SELECT count(*) FROM order_outbox").await, 0);
}
