//! The hexagon: which crate may know which.

use std::collections::{BTreeSet, HashMap};

use cargo_metadata::{DependencyKind, MetadataCommand};

/// Anything of these in a core means that it does I/O, or knows who does.
const IO: [&str; 22] = [
    "tokio",
    "async-std",
    "smol",
    "mio",
    "socket2",
    "hyper",
    "hyper-util",
    "http",
    "tower",
    "axum",
    "reqwest",
    "h2",
    "sqlx",
    "sqlx-core",
    "lapin",
    "rustls",
    "aws-config",
    "aws-sdk-sesv2",
    "clap",
    "tracing-subscriber",
    "metrics-exporter-prometheus",
    "async-io",
];

const CORES: [&str; 4] = ["core-kernel", "core-auth", "core-orders", "core-notify"];

/// Every package with what it depends on to be built, directly and through others.
fn dependencies() -> HashMap<String, BTreeSet<String>> {
    let metadata = MetadataCommand::new().exec().unwrap();
    let names: HashMap<_, _> = metadata
        .packages
        .iter()
        .map(|package| (package.id.clone(), package.name.to_string()))
        .collect();
    let direct: HashMap<String, BTreeSet<String>> = metadata
        .resolve
        .unwrap()
        .nodes
        .iter()
        .map(|node| {
            let normal = node.deps.iter().filter(|dependency| {
                let kinds = &dependency.dep_kinds;
                kinds.iter().any(|kind| kind.kind == DependencyKind::Normal)
            });
            let normal = normal.map(|dependency| names[&dependency.pkg].clone());
            (names[&node.id].clone(), normal.collect())
        })
        .collect();
    direct
        .keys()
        .map(|name| {
            let (mut all, mut next) = (BTreeSet::new(), vec![name.clone()]);
            while let Some(name) = next.pop() {
                for dependency in &direct[&name] {
                    if all.insert(dependency.clone()) {
                        next.push(dependency.clone());
                    }
                }
            }
            (name.clone(), all)
        })
        .collect()
}

#[test]
fn cores_do_no_io_and_know_the_kernel_but_not_each_other() {
    let dependencies = dependencies();
    for core in CORES {
        let all = &dependencies[core];
        let io: Vec<_> = IO.iter().filter(|name| all.contains(**name)).collect();
        assert!(io.is_empty(), "{core} depends on {io:?}");
        let others: Vec<_> = CORES[1..]
            .iter()
            .filter(|name| all.contains(**name))
            .collect();
        assert!(others.is_empty(), "{core} depends on {others:?}");
        let adapters: Vec<_> = all
            .iter()
            .filter(|name| name.starts_with("shopflow-"))
            .collect();
        assert!(adapters.is_empty(), "{core} depends on {adapters:?}");
    }
}

#[test]
fn one_tls_library_is_in_the_binary() {
    let binary = &dependencies()["shopflow-cli"];
    for other in ["aws-lc-sys", "aws-lc-rs", "openssl-sys", "native-tls"] {
        assert!(!binary.contains(other), "{other} is in the binary");
    }
}
