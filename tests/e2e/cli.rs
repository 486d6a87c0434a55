//! The admin commands of contract §7: what they print, for people and for programs, and how they end.

mod base;
mod doctor;
mod explain;
mod golden;
mod help;
mod incident;
mod notifications;
mod orders;
mod reconcile;
mod resend;
mod sessions;
mod templates;
mod transcripts;
mod users;

use serde_json::Value;
use shopflow_testkit::Service;

use crate::world::{Backend, World};

/// What a command said, standard error last.
struct Told {
    code: Option<i32>,
    output: String,
}

impl Told {
    /// The JSON document of a command that went well.
    #[track_caller]
    fn json(&self) -> Value {
        assert_eq!(self.code, Some(0), "{}", self.output);
        serde_json::from_str(&self.output)
            .unwrap_or_else(|error| panic!("{error}: {}", self.output))
    }

    /// The table of a command that went well, line by line and cell by cell. Cells are parted by two
    /// blanks or more. What is told beside the result may come first or last, and is left out.
    #[track_caller]
    fn lines(&self) -> Vec<Vec<&str>> {
        assert_eq!(self.code, Some(0), "{}", self.output);
        let lines = self.output.lines();
        let lines = lines.filter(|line| !line.contains("; see --"));
        lines.map(cells_of).collect()
    }
}

fn cells_of(line: &str) -> Vec<&str> {
    let cells = line.split("  ").map(str::trim);
    cells.filter(|cell| !cell.is_empty()).collect()
}

/// Runs an admin command on the data of a world.
async fn told(world: &World, args: &[&str]) -> Told {
    told_with(world, args, &[]).await
}

/// Where the dead letters are, if not in the folder.
fn broker(world: &World) -> Vec<(&str, &str)> {
    match world.backend() {
        Backend::Servers => vec![("RABBITMQ_URL", &world.setup.rabbitmq_url)],
        Backend::Embedded => Vec::new(),
    }
}

/// The environment of a service, with some of it changed.
fn environment(
    world: &World,
    service: Service,
    changed: &[(&'static str, &str)],
) -> Vec<(&'static str, String)> {
    let mut env = world.environment(service);
    for (name, value) in changed {
        env.retain(|(known, _)| known != name);
        env.push((name, (*value).to_owned()));
    }
    env
}

async fn told_with(world: &World, args: &[&str], env: &[(&str, &str)]) -> Told {
    let mut env = env.to_vec();
    env.extend([("USER", "ada"), ("TZ", "Europe/Berlin")]);
    let (code, output) = world.administer(args, &env).await;
    Told { code, output }
}
