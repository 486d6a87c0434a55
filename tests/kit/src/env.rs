//! The only place of this crate that reads the environment.

/// The value of a variable; one that is empty counts as not set.
#[expect(
    clippy::disallowed_methods,
    reason = "tests are told by variables which servers to use"
)]
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Where programs are looked up.
pub(crate) fn path() -> String {
    variable("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin".to_owned())
}
