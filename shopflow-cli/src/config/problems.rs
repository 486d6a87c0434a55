//! What is wrong with the settings.

use std::fmt;

/// All problems of a configuration; one line each, beginning with the variable's name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Problems(Vec<(&'static str, String)>);

impl Problems {
    /// One problem.
    pub(crate) fn one(name: &'static str, what: impl fmt::Display) -> Self {
        Self(vec![(name, what.to_string())])
    }

    pub(crate) fn add(&mut self, name: &'static str, what: impl fmt::Display) {
        self.0.push((name, what.to_string()));
    }

    /// The value of a good result; a bad one is a problem of `name`.
    pub(crate) fn take<T, E: fmt::Display>(
        &mut self,
        name: &'static str,
        result: Result<T, E>,
    ) -> Option<T> {
        result.map_err(|error| self.add(name, error)).ok()
    }

    /// Each with its variable.
    pub(crate) fn each(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.iter().map(|(name, what)| (*name, &**what))
    }

    /// The value, if there were no problems at all. What is `None` has had its problem told.
    pub(crate) fn finish<T>(self, value: Option<T>) -> Result<T, Self> {
        match value {
            Some(value) if self.0.is_empty() => Ok(value),
            _ => Err(self),
        }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, what) in &self.0 {
            writeln!(f, "error: {name}: {what}")?;
        }
        Ok(())
    }
}
