//! `shopflow doctor --data-dir`.

use std::ffi::OsString;
use std::path::Path;

use crate::cli::Told;
use crate::world::{AUTH, Backend, World, run};

back_ends! {
    embedded:
        a_folder_is_healthy_while_shopflow_dev_runs_on_it,
        a_folder_on_which_nothing_runs_is_a_warning,
        a_folder_of_an_older_program_is_told_of_and_left_as_it_is,
        dead_letters_that_cannot_be_counted_are_no_good_news,
        a_folder_that_is_none_fails;
}

async fn of_folder(folder: &str) -> Told {
    let args = ["doctor", "--data-dir", folder];
    let (code, output) = run(&args, &[]).await;
    Told { code, output }
}

async fn a_folder_is_healthy_while_shopflow_dev_runs_on_it() {
    let world = World::start(Backend::Embedded).await;
    let told = of_folder(world.data_dir().unwrap().to_str().unwrap()).await;
    assert_eq!(told.code, Some(0), "{}", told.output);
    for name in [
        "secret",
        "database",
        "outbox",
        "dead letters",
        "auth",
        "orders",
        "notify",
    ] {
        let line = told
            .output
            .lines()
            .find(|line| line[4..].trim().starts_with(name));
        assert!(
            line.is_some_and(|line| line.starts_with("ok ")),
            "{name}: {}",
            told.output
        );
    }
}

async fn a_folder_on_which_nothing_runs_is_a_warning() {
    let mut world = World::start(Backend::Embedded).await;
    world.kill(AUTH).await;
    let told = of_folder(world.data_dir().unwrap().to_str().unwrap()).await;
    assert_eq!(told.code, Some(0), "{}", told.output);
    assert!(told.output.contains("warn  services"), "{}", told.output);
}

/// All that a folder holds.
fn contents(folder: &Path) -> Vec<(OsString, Vec<u8>)> {
    let files = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
    let files = files.filter(|file| file.file_type().unwrap().is_file());
    let files = files.map(|file| (file.file_name(), std::fs::read(file.path()).unwrap()));
    let mut files: Vec<_> = files.collect();
    files.sort();
    files
}

async fn a_folder_of_an_older_program_is_told_of_and_left_as_it_is() {
    let mut world = World::start(Backend::Embedded).await;
    world.kill(AUTH).await;
    let forget = "DELETE FROM _sqlx_migrations WHERE version = 80";
    world.execute(forget).await;
    let folder = world.data_dir().unwrap();
    // Who reads as the first makes files for those who read beside it.
    of_folder(folder.to_str().unwrap()).await;
    let before = contents(folder);
    let told = of_folder(folder.to_str().unwrap()).await;
    assert_eq!(told.code, Some(0), "{}", told.output);
    let line = "warn  database  scripts 80 are not applied yet; start shopflow dev";
    assert!(told.output.contains(line), "{}", told.output);
    assert!(contents(folder) == before, "it was changed");
}

async fn dead_letters_that_cannot_be_counted_are_no_good_news() {
    let world = World::start(Backend::Embedded).await;
    world.execute("DROP TABLE dead_letters").await;
    let told = of_folder(world.data_dir().unwrap().to_str().unwrap()).await;
    assert_eq!(told.code, Some(1), "{}", told.output);
    assert!(
        told.output.contains("FAIL  dead letters  "),
        "{}",
        told.output
    );
}

async fn a_folder_that_is_none_fails() {
    let folder = tempfile::tempdir().unwrap();
    let told = of_folder(folder.path().to_str().unwrap()).await;
    assert_eq!(told.code, Some(1), "{}", told.output);
    let lines: Vec<&str> = told.output.lines().collect();
    assert!(lines[0].starts_with("FAIL  folder  "), "{}", told.output);
    assert_eq!(lines[1..], ["error: 1 check failed"]);
}
