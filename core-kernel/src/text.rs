//! Short texts that people type: names, streets, product names.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Violation;

/// A text of 1 to `MAX` characters (not bytes) that is not blank and has no control characters.
///
/// `Deserialize` is for what a store wrote, and checks nothing; what people send goes through
/// [`Text::parse`].
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Text<const MAX: usize>(String);

impl<const MAX: usize> Text<MAX> {
    /// How many characters it may have.
    pub const MAX: usize = MAX;

    /// The text, kept as it is.
    ///
    /// # Errors
    /// `length` when it is blank or too long, `format` when it holds control characters.
    pub fn parse(text: &str) -> Result<Self, Violation> {
        if text.trim().is_empty() || text.chars().nth(MAX).is_some() {
            return Err(Violation::new(
                "length",
                format!("must have 1 to {MAX} characters"),
            ));
        }
        if text.chars().any(char::is_control) {
            return Err(Violation::new(
                "format",
                "must not contain control characters",
            ));
        }
        Ok(Self(text.to_owned()))
    }

    /// A text that was checked when it was stored.
    #[must_use]
    pub fn trusted(text: String) -> Self {
        Self(text)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What people type can be personal, so it is not shown in logs.
impl<const MAX: usize> fmt::Debug for Text<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Text(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_is_counted_in_characters() {
        assert!(Text::<3>::parse("äöü").is_ok());
        for bad in ["", "  ", "äöüx"] {
            assert_eq!(Text::<3>::parse(bad).unwrap_err().code, "length", "{bad:?}");
        }
        assert_eq!(Text::<3>::parse("a\0").unwrap_err().code, "format");
    }

    #[test]
    fn what_people_type_stays_out_of_logs() {
        assert_eq!(
            format!("{:?}", Text::<9>::parse("Jane").unwrap()),
            "Text(***)"
        );
    }
}
