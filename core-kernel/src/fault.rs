//! Faults of input: where, what, and why, all of a request together (RFC 9457 `errors`).

use std::borrow::Cow;

/// A rule that a value breaks, before anyone knows where the value stood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Violation {
    /// The rule, as a stable lower-case word (`min`, `required`, `format`).
    pub code: &'static str,
    /// What must be so, for people: `must be at least 1`.
    pub message: Cow<'static, str>,
}

impl Violation {
    /// A violation of rule `code`.
    pub fn new(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }
}

impl From<crate::MoneyError> for Violation {
    fn from(error: crate::MoneyError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}

/// Where a faulty value stood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum At {
    /// In the body, by JSON Pointer (RFC 6901): `/items/0/quantity`.
    Pointer(String),
    /// In the query, by its name.
    Parameter(&'static str),
    /// In the head of the request, by the header's name.
    Header(&'static str),
}

/// One fault of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where.
    pub at: At,
    /// What and why.
    pub violation: Violation,
}

/// All faults of a request, collected so that one answer names them all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults(Vec<Fault>);

impl Faults {
    /// No faults yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a fault of the body.
    pub fn add(&mut self, pointer: impl Into<String>, violation: Violation) {
        self.0.push(Fault {
            at: At::Pointer(pointer.into()),
            violation,
        });
    }

    /// Adds a fault of the query.
    pub fn add_parameter(&mut self, name: &'static str, violation: Violation) {
        self.0.push(Fault {
            at: At::Parameter(name),
            violation,
        });
    }

    /// Adds a fault of a header.
    pub fn add_header(&mut self, name: &'static str, violation: Violation) {
        self.0.push(Fault {
            at: At::Header(name),
            violation,
        });
    }

    /// The value of a good result; a bad one is added at `pointer`.
    pub fn take<T>(&mut self, pointer: &str, result: Result<T, Violation>) -> Option<T> {
        result
            .map_err(|violation| self.add(pointer, violation))
            .ok()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The faults, in the order in which they were found.
    #[must_use]
    pub fn as_slice(&self) -> &[Fault] {
        &self.0
    }
}
