//! The incident that docs/cli.md walks through: every command of it is run, and must print what the
//! page shows, but for ids and times.

use std::collections::HashMap;

use shopflow_testkit::{Channel, Fault, wait_until};

use crate::world::{Backend, SOON, World, new_order};

back_ends! {
    servers:
        the_incident_of_the_docs_goes_as_it_is_shown;
}

const PAGE: &str = include_str!("../../../docs/cli.md");
const HEADING: &str = "## An incident: a customer got no mail";

/// A command of the page, with the lines that it prints there.
struct Shown {
    command: &'static str,
    lines: Vec<&'static str>,
}

/// The commands of the chapter, in their order.
fn session() -> Vec<Shown> {
    let (_, chapter) = PAGE.split_once(HEADING).expect("the chapter is there");
    let chapter = chapter.split("\n## ").next().unwrap_or(chapter);
    let mut all: Vec<Shown> = Vec::new();
    for block in chapter.split("```console\n").skip(1) {
        let block = block.split("```").next().unwrap_or(block);
        for line in block.lines() {
            match (line.strip_prefix("$ "), all.last_mut()) {
                (Some(command), _) => all.push(Shown {
                    command,
                    lines: Vec::new(),
                }),
                (None, Some(shown)) => shown.lines.push(line),
                (None, None) => panic!("{line:?} is of no command"),
            }
        }
    }
    all
}

async fn the_incident_of_the_docs_goes_as_it_is_shown() {
    let world = World::start(Backend::Servers).await;
    let jane = world.customer_with("jane", None).await;
    let refuse = world.fail(Channel::Email, Fault::Refuse, Some(1), None);
    refuse.await;
    let client = world.orders.with_token(&jane.access);
    let placed = client.post("/orders", &new_order()).await;
    assert_eq!(placed.status, 201, "{}", placed.text());
    wait_until("its event is given up", SOON, async || {
        world.dead_letters().await == 1
    })
    .await;
    world.published().await;

    // Ids of the page, with those that stand for them here.
    let mut ids: HashMap<String, String> = HashMap::new();
    let mut recorded = String::new();
    let mut differ = Vec::new();
    for shown in session() {
        let command = translated(shown.command, &ids);
        let told = typed(&world, &command).await;
        recorded += &format!("$ {command}\n{told}");
        let mut left: Vec<&str> = told.lines().collect();
        let replayed = left == ["1 replayed"];
        for page in &shown.lines {
            take(page, &mut left, &mut ids);
        }
        let missing = told.lines().count() != shown.lines.len();
        if missing || !left.is_empty() {
            differ.push(shown.command);
        }
        if replayed {
            world.wait_notified(&jane, 1, "sent").await;
        }
    }
    assert!(!ids.is_empty(), "the page has no session");
    assert!(
        differ.is_empty(),
        "the page shows otherwise: {differ:?}\n\n{recorded}"
    );
    assert_eq!(world.mails().await.len(), 1);
}

/// Runs a line as the shell would: with what stands behind `|` and `2>` done here. What it tells on
/// standard output comes back.
async fn typed(world: &World, line: &str) -> String {
    let (line, last) = match line.strip_suffix(" | tail -1") {
        Some(line) => (line, true),
        None => (line, false),
    };
    let line = line.split(" 2>").next().unwrap_or(line);
    let args = line.strip_prefix("shopflow ").expect("a command of ours");
    let args: Vec<&str> = args.split_whitespace().collect();
    let env = [
        ("DATABASE_URL", &*world.setup.database_url),
        ("RABBITMQ_URL", &world.setup.rabbitmq_url),
        ("TZ", "UTC"),
        ("USER", "ada"),
    ];
    let process = shopflow_testkit::Process::start(crate::world::shopflow(), args, env);
    let ended = process.wait_exit(SOON).await;
    assert!(ended.is_some(), "{line} does not end");
    let told = process.stdout();
    match (last, told.trim_end().lines().last()) {
        (true, Some(line)) => format!("{line}\n"),
        _ => told,
    }
}

/// A command of the page with the ids of here.
fn translated(command: &str, ids: &HashMap<String, String>) -> String {
    let words = command.split(' ');
    let words = words.map(|word| ids.get(word).map_or(word, String::as_str));
    words.collect::<Vec<_>>().join(" ")
}

/// Takes the line away that tells the same as one of the page, if there is one, and learns its ids. What
/// happens in two services at the same moment is told in either order.
fn take(page: &str, left: &mut Vec<&str>, ids: &mut HashMap<String, String>) {
    let found = left.iter().enumerate().find_map(|(place, here)| {
        let mut learned = ids.clone();
        agree(page, here, &mut learned).then_some((place, learned))
    });
    if let Some((place, learned)) = found {
        left.remove(place);
        *ids = learned;
    }
}

/// Whether two lines tell the same. An id stands for the same other one on every line.
fn agree(page: &str, here: &str, ids: &mut HashMap<String, String>) -> bool {
    let (page, here): (Vec<&str>, Vec<&str>) = (words(page), words(here));
    page.len() == here.len()
        && page.iter().zip(&here).all(|(page, here)| {
            if is_id(page) && is_id(here) {
                let known = ids.entry((*page).to_owned());
                return known.or_insert_with(|| (*here).to_owned()).as_str() == *here;
            }
            page == here || (varies(page) && shape(page) == shape(here))
        })
}

/// Ids, times and words; what is between them, and how wide a column is, does not count.
fn words(line: &str) -> Vec<&str> {
    let between = |c: char| c.is_whitespace() || "\"',;()".contains(c);
    line.split(between)
        .filter(|word| !word.is_empty())
        .collect()
}

fn is_id(word: &str) -> bool {
    word.len() == 36 && word.bytes().filter(|byte| *byte == b'-').count() == 4
}

/// Times, and what traces and events are called.
fn varies(word: &str) -> bool {
    let is_trace = word.len() >= 32 && word.bytes().any(|byte| byte.is_ascii_digit());
    let is_time = word.len() >= 8 && word.bytes().filter(u8::is_ascii_digit).count() >= 6;
    is_trace || is_time
}

/// A word with all its letters and digits alike.
fn shape(word: &str) -> String {
    let alike = |c: char| if c.is_ascii_hexdigit() { '0' } else { c };
    word.chars().map(alike).collect()
}
