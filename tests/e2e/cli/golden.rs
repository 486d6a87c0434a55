//! What commands print, to the letter: kept in `golden/`, a transcript for people (`.txt`) and one for
//! programs (`.json`) of each noun. `UPDATE_GOLDEN=1` writes them anew; what changed is in the diff.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use shopflow_testkit::{Process, wait_for};

use crate::world::{Backend, SOON, World, shopflow};

/// What differs from one run to the next, by its shape: `x` is a hex digit, `d` a digit, `D` some of
/// them; and what stands in its place.
const SHAPES: [(&str, &str); 9] = [
    ("xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx", "id"),
    ("dddd-dd-ddTdd:dd:dd.dddZ", "<time>"),
    ("dddd-dd-dd dd:dd:dd JST", "<time>"),
    ("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", "<trace>"),
    ("127.0.0.1:D", "127.0.0.1:<port>"),
    ("D ms", "<ms> ms"),
    ("Dh Dm Ds", "<age>"),
    ("Dh Dm", "<age>"),
    ("#xxxxxxxx", "#<number>"),
];

/// The same for one run as for every other.
#[derive(Default)]
pub(in crate::cli) struct Normaliser {
    /// What cannot be told by its shape.
    known: Vec<(String, &'static str)>,
    /// In the order in which they were met, so that it shows which are the same.
    ids: Vec<String>,
}

/// How many bytes of the text have this shape.
fn matched(shape: &str, text: &str) -> Option<usize> {
    let text = text.as_bytes();
    let mut at = 0;
    for part in shape.bytes() {
        let fits = |byte: u8| match part {
            b'x' => byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte),
            b'd' | b'D' => byte.is_ascii_digit(),
            other => byte == other,
        };
        text.get(at).filter(|byte| fits(**byte))?;
        at += 1;
        while part == b'D' && text.get(at).is_some_and(|byte| fits(*byte)) {
            at += 1;
        }
    }
    let ends = text
        .get(at)
        .is_none_or(|next| !next.is_ascii_alphanumeric());
    ends.then_some(at)
}

impl Normaliser {
    /// Has this stand for that from now on.
    pub(in crate::cli) fn know(&mut self, what: impl Into<String>, name: &'static str) {
        self.known.push((what.into(), name));
    }

    fn id(&mut self, id: &str) -> String {
        let known = self.ids.iter().position(|known| known == id);
        let number = known.unwrap_or_else(|| {
            self.ids.push(id.to_owned());
            self.ids.len() - 1
        });
        format!("<id {}>", number + 1)
    }

    /// The text with names in the place of what differs. Columns are as wide as what is in them, so
    /// the blanks between them are always two.
    pub(in crate::cli) fn normal(&mut self, text: &str) -> String {
        let mut text = text.to_owned();
        for (what, name) in &self.known {
            text = text.replace(what, name);
        }
        let (mut normal, mut rest) = (String::new(), &*text);
        while let Some(next) = rest.chars().next() {
            let begins = !normal.ends_with(|c: char| c.is_ascii_alphanumeric());
            let mut shapes = SHAPES.iter().filter(|_| begins);
            let found = shapes.find_map(|(shape, name)| Some((matched(shape, rest)?, *name)));
            if let Some((length, name)) = found {
                let name = match name {
                    "id" => self.id(&rest[..length]),
                    name => name.to_owned(),
                };
                normal.push_str(&name);
                rest = &rest[length..];
                continue;
            }
            if !(next == ' ' && normal.ends_with("  ") && !normal.ends_with("\n  ")) {
                normal.push(next);
            }
            rest = &rest[next.len_utf8()..];
        }
        normal
    }
}

/// The transcripts of one noun.
pub(in crate::cli) struct Golden {
    name: &'static str,
    pub(in crate::cli) normal: Normaliser,
    text: String,
    documents: Vec<Value>,
}

impl Golden {
    pub(in crate::cli) fn new(name: &'static str) -> Self {
        Self {
            name,
            normal: Normaliser::default(),
            text: String::new(),
            documents: Vec::new(),
        }
    }

    /// A command on the data of a world, for people and for programs.
    pub(in crate::cli) async fn both(&mut self, world: &World, args: &[&str]) {
        self.text(world, args).await;
        self.json(world, args).await;
    }

    /// A command on the data of a world, for people.
    pub(in crate::cli) async fn text(&mut self, world: &World, args: &[&str]) {
        self.text_with(world, args, &[]).await;
    }

    pub(in crate::cli) async fn text_with(
        &mut self,
        world: &World,
        args: &[&str],
        env: &[(&str, &str)],
    ) {
        let ran = on(world, args, env).await;
        self.add_text(args, &ran);
    }

    /// A command on the data of a world, for programs.
    pub(in crate::cli) async fn json(&mut self, world: &World, args: &[&str]) {
        self.json_with(world, args, &[]).await;
    }

    pub(in crate::cli) async fn json_with(
        &mut self,
        world: &World,
        args: &[&str],
        env: &[(&str, &str)],
    ) {
        let ran = on(world, &[args, &["--output", "json"]].concat(), env).await;
        self.add_json(args, &ran);
    }

    /// A command on no data.
    pub(in crate::cli) async fn alone(&mut self, args: &[&str], env: &[(&str, &str)]) {
        let ran = run(args, env).await;
        self.add_text(args, &ran);
    }

    /// The same for programs.
    pub(in crate::cli) async fn alone_json(&mut self, args: &[&str], env: &[(&str, &str)]) {
        let ran = run(&[args, &["--output", "json"]].concat(), env).await;
        self.add_json(args, &ran);
    }

    /// A command on no data that ends well, for people and for programs. It is run until it does: what
    /// looks after the health of others may find them too slow on a busy machine.
    pub(in crate::cli) async fn alone_well(&mut self, args: &[&str], env: &[(&str, &str)]) {
        for output in ["table", "json"] {
            let all = [args, &["--output", output]].concat();
            let ran = wait_for("it ends well", SOON, async || {
                let ran = run(&all, env).await;
                (ran.code == 0).then_some(ran)
            })
            .await;
            match output {
                "table" => self.add_text(args, &ran),
                _ => self.add_json(args, &ran),
            }
        }
    }

    /// As at a terminal: the command, what it told, what it told beside that (`! …`), its exit code.
    fn add_text(&mut self, args: &[&str], ran: &Ran) {
        let mut told = format!("$ shopflow {}\n{}", quoted(args), ran.stdout);
        for line in ran.stderr.lines() {
            let line = format!("! {line}");
            let _ = writeln!(told, "{}", line.trim_end());
        }
        let _ = writeln!(told, "= {}\n", ran.code);
        let told = self.normal.normal(&told);
        self.text.push_str(&told);
    }

    fn add_json(&mut self, args: &[&str], ran: &Ran) {
        // Names in the place of numbers would be no JSON, and there are none in numbers.
        let told = self.normal.normal(&ran.stdout);
        let parsed = |line: &str| -> Value {
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
        };
        // A stream has a document in each line.
        let mut lines: Vec<Value> = told.lines().map(parsed).collect();
        let output = match (lines.len(), is_stream(args)) {
            (0, false) => Value::Null,
            (1, false) => lines.remove(0),
            (_, true) => Value::Array(lines),
            (_, false) => panic!("more than one document: {told}"),
        };
        self.documents.push(json!({
            "command": self.normal.normal(&quoted(args)),
            "output": output,
            "stderr": self.normal.normal(&ran.stderr),
            "exit": ran.code,
        }));
    }

    /// Compares with what is kept.
    #[track_caller]
    pub(in crate::cli) fn compare(self) {
        if !self.text.is_empty() {
            compare(&format!("{}.txt", self.name), &self.text);
        }
        if !self.documents.is_empty() {
            let documents = serde_json::to_string_pretty(&self.documents).unwrap();
            compare(&format!("{}.json", self.name), &format!("{documents}\n"));
        }
    }
}

/// Whether a command tells programs one thing a line, and not all in one document.
fn is_stream(args: &[&str]) -> bool {
    args.first() == Some(&"reconcile")
}

fn quoted(args: &[&str]) -> String {
    let quote = |arg: &&str| match arg.contains(' ') {
        true => format!("'{arg}'"),
        false => (*arg).to_owned(),
    };
    args.iter().map(quote).collect::<Vec<_>>().join(" ")
}

/// How a command ended.
struct Ran {
    stdout: String,
    stderr: String,
    code: i32,
}

async fn on(world: &World, args: &[&str], env: &[(&str, &str)]) -> Ran {
    let (mut args, mut env) = (args.to_vec(), env.to_vec());
    match world.data_dir() {
        Some(data) => args.extend(["--data-dir", data.to_str().unwrap()]),
        None => env.extend([
            ("DATABASE_URL", world.setup.database_url.as_str()),
            ("RABBITMQ_URL", world.setup.rabbitmq_url.as_str()),
        ]),
    }
    assert_eq!(
        world.data_dir().is_some(),
        world.backend() == Backend::Embedded
    );
    run(&args, &env).await
}

/// Where there is no summer time, so that zones are always called the same.
async fn run(args: &[&str], env: &[(&str, &str)]) -> Ran {
    let mut env = env.to_vec();
    env.extend([("USER", "ada"), ("TZ", "Asia/Tokyo")]);
    let process = Process::start(shopflow(), args, env);
    let status = process.wait_exit(SOON).await.expect("the command ends");
    Ran {
        stdout: process.stdout(),
        stderr: process.stderr(),
        code: status.code().expect("it was not killed"),
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/e2e/cli/golden")
}

/// Compares a file with what there is now, or writes it.
#[track_caller]
pub(in crate::cli) fn compare(file: &str, now: &str) {
    let path = folder().join(file);
    if is_update() {
        std::fs::write(&path, now).unwrap();
        return;
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    let mut lines = kept.lines().zip(now.lines()).enumerate();
    let differs = lines.find(|(_, (kept, now))| kept != now);
    if let Some((number, (kept, now))) = differs {
        let number = number + 1;
        panic!("golden/{file}:{number} (UPDATE_GOLDEN=1 writes it)\n kept: {kept}\n  now: {now}");
    }
    let (kept, now) = (kept.lines().count(), now.lines().count());
    assert_eq!(
        kept, now,
        "lines of golden/{file} (UPDATE_GOLDEN=1 writes it)"
    );
}

#[expect(
    clippy::disallowed_methods,
    reason = "whoever runs the tests asks by it"
)]
fn is_update() -> bool {
    std::env::var_os("UPDATE_GOLDEN").is_some()
}

#[test]
fn what_differs_from_run_to_run_gets_a_name_and_the_rest_stays() {
    let mut normal = Normaliser::default();
    normal.know("ses-17", "<provider id>");
    for (text, wanted) in [
        ("ID      NAME\n", "ID  NAME\n"),
        ("  kept  \n", "  kept  \n"),
        ("a1b2c3d4-e5f6-7890-abcd-ef1234567890!", "<id 1>!"),
        ("550e8400-e29b-41d4-a716-446655440000", "<id 2>"),
        ("a1b2c3d4-e5f6-7890-abcd-ef1234567890", "<id 1>"),
        ("2026-02-17T10:30:00.000Z", "<time>"),
        ("2026-02-17 10:30:00 JST  ses-17", "<time>  <provider id>"),
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-01", "00-<trace>-01"),
        (
            "http://127.0.0.1:3001/x took 17 ms",
            "http://127.0.0.1:<port>/x took <ms> ms",
        ),
        (
            "#b2c3d4e5 112.97 USD 4bf92f35",
            "#<number> 112.97 USD 4bf92f35",
        ),
        (
            "x4bf92f3577b34da6a3ce929d0e0e4736",
            "x4bf92f3577b34da6a3ce929d0e0e4736",
        ),
    ] {
        assert_eq!(normal.normal(text), wanted);
    }
}
