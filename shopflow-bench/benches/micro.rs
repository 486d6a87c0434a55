//! How long small pieces of work take: `cargo bench --workspace --bench micro`.

#![expect(
    clippy::unwrap_used,
    reason = "what cannot be prepared cannot be measured"
)]

#[path = "../micro/cases.rs"]
mod cases;
#[path = "../src/http.rs"]
mod http;

fn main() {
    divan::main();
}

#[divan::bench(args = cases::ALL.map(|(name, _)| name))]
fn micro(bencher: divan::Bencher<'_, '_>, name: &str) {
    let (_, prepare) = cases::ALL.iter().find(|(known, _)| *known == name).unwrap();
    let work = prepare();
    bencher.bench_local(work);
}
