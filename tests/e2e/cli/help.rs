//! The help of every command, read off the commands themselves.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::process::Command;

use super::base::commands_below;
use super::golden::compare;
use crate::world::shopflow;

/// What `--help` says, with nothing in the environment that it could show.
fn help(command: &[String]) -> String {
    let output = Command::new(shopflow())
        .args(command)
        .arg("--help")
        .env_clear()
        .output()
        .unwrap();
    assert!(output.status.success(), "{command:?}");
    let help = String::from_utf8(output.stdout).unwrap();
    // Lines that are empty but for blanks are nobody's business.
    let lines = help.lines().map(|line| format!("{}\n", line.trim_end()));
    lines.collect()
}

#[test]
fn every_command_has_an_example_of_itself_in_its_help() {
    for command in commands_below(&[]) {
        let help = help(&command);
        let examples = help
            .split_once("\nExample:\n")
            .or(help.split_once("\nExamples:\n"));
        let named = format!("shopflow {}", command.join(" "));
        // A long line of it may be broken anywhere.
        let words = |(_, examples): (&str, &str)| {
            let words: Vec<&str> = examples.split_whitespace().collect();
            words.join(" ").contains(&named)
        };
        let shown = examples.is_some_and(words);
        assert!(shown, "shopflow {} --help", command.join(" "));
    }
}

#[test]
fn the_help_of_every_command_is_as_it_is_kept() {
    compare("help/shopflow.txt", &help(&[]));
    let mut nouns: BTreeMap<String, String> = BTreeMap::new();
    for command in commands_below(&[]) {
        let noun = nouns.entry(command[0].clone()).or_default();
        let name = command.join(" ");
        let _ = writeln!(noun, "$ shopflow {name} --help\n{}", help(&command));
    }
    for (noun, help) in nouns {
        compare(&format!("help/{noun}.txt"), &help);
    }
}
