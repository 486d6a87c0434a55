//! How the command is linked.

#[expect(
    clippy::disallowed_methods,
    reason = "cargo tells a build script of its target by the environment"
)]
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let target = |part: &str| std::env::var(format!("CARGO_CFG_TARGET_{part}"));
    // Each of some 40,000 addresses to be mended at the start is a bit in place of 24 bytes. The loaders
    // of glibc 2.36 and later know how; who links by an older linker is warned and goes without.
    if target("OS").as_deref() == Ok("linux") && target("ENV").as_deref() == Ok("gnu") {
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}
