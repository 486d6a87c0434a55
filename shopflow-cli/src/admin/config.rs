//! `shopflow config`.

use std::collections::HashSet;

use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command, CommandFactory};
use serde_json::{Value, json};

use super::output::{listing, note, say};
use crate::Failure;
use crate::cli::{CheckArgs, Cli, ConfigCommand, OutputArgs, ShowArgs};
use crate::config::Problems;

pub(crate) fn run(command: &ConfigCommand) -> Result<(), Failure> {
    match command {
        ConfigCommand::Check(args) => check(args),
        ConfigCommand::Show(args) => show(args),
    }
}

/// The very checks that a service makes when it starts.
fn check(args: &CheckArgs) -> Result<(), Failure> {
    match args {
        CheckArgs::Auth(args) => args.resolve().map(drop)?,
        CheckArgs::Orders(args) => args.resolve().map(drop)?,
        CheckArgs::Notify(args) => args.resolve().map(drop)?,
    }
    say("ok")
}

fn show(args: &ShowArgs) -> Result<(), Failure> {
    match args {
        ShowArgs::Auth(args) => shown("auth", args.output, args.settings.resolve().err()),
        ShowArgs::Orders(args) => shown("orders", args.output, args.settings.resolve().err()),
        ShowArgs::Notify(args) => shown("notify", args.output, args.settings.resolve().err()),
    }
}

/// Settings that may come from a file and are no secrets all the same.
const NO_SECRET: [&str; 1] = ["LOG_LEVEL"];

/// A setting as it is shown.
struct Setting {
    name: String,
    value: Option<String>,
    from: String,
}

/// What was typed is read once more, since only that tells where each value came from.
fn shown(service: &str, output: OutputArgs, problems: Option<Problems>) -> Result<(), Failure> {
    let path = ["config", "show", service];
    let command = Cli::command();
    let matches = Cli::command().get_matches();
    let below = |name: &&str, command: &Command| command.find_subcommand(name).cloned();
    let command = path
        .iter()
        .try_fold(command, |command, name| below(name, &command));
    let matches = path
        .iter()
        .try_fold(&matches, |matches, name| matches.subcommand_matches(name));
    let settings = command.zip(matches);
    let settings = settings.map(|(command, matches)| settings_of(&command, matches));
    let settings = settings.unwrap_or_default();
    let row = |one: &Setting| {
        vec![
            one.name.clone(),
            one.value.clone().unwrap_or_else(|| "-".to_owned()),
            one.from.clone(),
        ]
    };
    let rows = settings.iter().map(row).collect();
    let data = settings
        .iter()
        .map(|one| json!({ "name": one.name, "value": one.value, "from": one.from }));
    let data: Vec<Value> = data.collect();
    listing(
        output.output,
        &["SETTING", "VALUE", "FROM"],
        rows,
        data,
        None,
    )?;
    if let Some(problems) = problems {
        note(problems.to_string().trim_end());
    }
    Ok(())
}

fn settings_of(command: &Command, matches: &ArgMatches) -> Vec<Setting> {
    let args: Vec<&Arg> = command.get_arguments().collect();
    let variables: HashSet<String> = args.iter().copied().filter_map(variable).collect();
    let file_of = |name: &str| {
        if NO_SECRET.contains(&name) {
            return None;
        }
        let file = args
            .iter()
            .find(|arg| variable(arg) == Some(format!("{name}_FILE")));
        file.map(|arg| given(arg, matches))
    };
    let setting = |arg: &&Arg| {
        let name = variable(arg)?;
        // The file of a secret is told with the secret.
        if name
            .strip_suffix("_FILE")
            .is_some_and(|own| variables.contains(own) && !NO_SECRET.contains(&own))
        {
            return None;
        }
        let file = file_of(&name);
        let (value, from) = match (given(arg, matches), file) {
            (Some((value, from)), None) => (Some(value), from),
            (Some((value, from)), Some(_)) => (Some(masked(&value)), from),
            (None, Some(Some((file, _)))) => (Some("***".to_owned()), format!("file {file}")),
            (None, _) => match default_of(arg) {
                Some(default) => (Some(default), "default".to_owned()),
                None => (None, "not set".to_owned()),
            },
        };
        Some(Setting { name, value, from })
    };
    args.iter().filter_map(setting).collect()
}

fn variable(arg: &Arg) -> Option<String> {
    Some(arg.get_env()?.to_string_lossy().into_owned())
}

/// The value and where it came from. An empty variable is as good as none.
fn given(arg: &Arg, matches: &ArgMatches) -> Option<(String, String)> {
    let value = matches.get_one::<String>(arg.get_id().as_str())?.trim();
    if value.is_empty() {
        return None;
    }
    let from = match matches.value_source(arg.get_id().as_str())? {
        ValueSource::CommandLine => format!("flag --{}", arg.get_long()?),
        _ => "environment".to_owned(),
    };
    Some((value.to_owned(), from))
}

/// A secret, without what is secret. Of a URL, scheme, host and path help to tell one from another.
fn masked(value: &str) -> String {
    let url = value.split_once("://");
    let shown = url.and_then(|(scheme, rest)| {
        let (_, place) = rest.rsplit_once('@').unwrap_or(("", rest));
        let place = place.split(['?', '#']).next()?;
        Some(format!("{scheme}://***@{place}"))
    });
    shown.unwrap_or_else(|| "***".to_owned())
}

/// As the help tells it.
fn default_of(arg: &Arg) -> Option<String> {
    let help = arg.get_help()?.to_string();
    let (_, default) = help.rsplit_once("[default: ")?;
    Some(default.trim_end_matches(']').to_owned())
}

#[cfg(test)]
mod tests {
    use super::masked;

    #[test]
    fn a_masked_url_tells_its_host_and_no_secret() {
        for (url, shown) in [
            (
                "postgres://ann:s3c@ret@db:5432/auth",
                "postgres://***@db:5432/auth",
            ),
            (
                "postgres://db/auth?password=s3cret",
                "postgres://***@db/auth",
            ),
            ("s3cret", "***"),
        ] {
            assert_eq!(masked(url), shown);
        }
    }
}
