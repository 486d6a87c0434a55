//! Accounts (PRD §3.1) and the rules of what people type about themselves (PRD §4.1).

use std::fmt;

use core_kernel::{Caller, Role, SessionId, Text, UserId, Violation};
use email_address::{EmailAddress, Options};
use jiff::Timestamp;

use crate::password::{Password, PasswordHash};

/// An email address in the form in which addresses are compared: trimmed and in lower case.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Email(String);

impl Email {
    /// How many characters it may have.
    pub const MAX: usize = 255;

    /// The address, if mail can be sent to it.
    ///
    /// # Errors
    /// `format` when it is none, or has no top-level domain, or needs more than ASCII (which SES
    /// does not carry); `length` above 255 characters.
    pub fn parse(text: &str) -> Result<Self, Violation> {
        let email = Self::normalized(text);
        if email.0.len() > Self::MAX {
            return Err(Violation::new("length", "must have at most 255 characters"));
        }
        let options = Options::default()
            .with_required_tld()
            .without_display_text()
            .without_domain_literal();
        let valid =
            email.0.is_ascii() && EmailAddress::parse_with_options(&email.0, options).is_ok();
        if !valid {
            return Err(Violation::new("format", "must be a valid email address"));
        }
        Ok(email)
    }

    /// The form in which addresses are compared, whether or not it is an address: for looking
    /// accounts up, where a text that is no address is simply nobody's.
    #[must_use]
    pub fn normalized(text: &str) -> Self {
        Self(text.trim().to_lowercase())
    }

    /// The address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Email(***)")
    }
}

/// A first or last name: trimmed, 1 to 100 characters, no control characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PersonName(Text<100>);

impl PersonName {
    /// How many characters it may have.
    pub const MAX: usize = Text::<100>::MAX;

    /// The name without the white space around it.
    ///
    /// # Errors
    /// `length` or `format`.
    pub fn parse(text: &str) -> Result<Self, Violation> {
        Text::parse(text.trim()).map(Self)
    }

    /// A name that was checked when it was stored.
    #[must_use]
    pub fn trusted(text: String) -> Self {
        Self(Text::trusted(text))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

/// A phone number in E.164: `+`, then 7 to 15 digits of which the first is not 0.
#[derive(Clone, PartialEq, Eq)]
pub struct Phone(String);

impl Phone {
    /// The number, if it is one.
    ///
    /// # Errors
    /// `format`.
    pub fn parse(text: &str) -> Result<Self, Violation> {
        let digits = text.strip_prefix('+').unwrap_or_default();
        let good = (7..=15).contains(&digits.len())
            && digits.bytes().all(|byte| byte.is_ascii_digit())
            && !digits.starts_with('0');
        if !good {
            return Err(Violation::new(
                "format",
                "must be in E.164 format, such as +15551234567",
            ));
        }
        Ok(Self(text.to_owned()))
    }

    /// A number that was checked when it was stored.
    #[must_use]
    pub fn trusted(text: String) -> Self {
        Self(text)
    }

    /// The number.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Phone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Phone(***)")
    }
}

/// What a user may be. Services have tokens but no accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserRole {
    /// Buys.
    Customer,
    /// Runs the shop.
    Admin,
}

impl UserRole {
    /// The role as tokens and tables have it.
    #[must_use]
    pub fn role(self) -> Role {
        match self {
            Self::Customer => Role::Customer,
            Self::Admin => Role::Admin,
        }
    }

    /// The user role of a word, if it is one.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Customer, Self::Admin]
            .into_iter()
            .find(|role| role.role().as_str() == word)
    }
}

/// An account without its password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Its id.
    pub id: UserId,
    /// Its address, which is also its login.
    pub email: Email,
    /// First name.
    pub first_name: PersonName,
    /// Last name.
    pub last_name: PersonName,
    /// Where texts go, if anywhere.
    pub phone: Option<Phone>,
    /// What it may do.
    pub role: UserRole,
    /// `false` once it is deactivated (soft delete, PRD §10.6).
    pub is_active: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// Access tokens issued up to then do not count any more, if any were ever revoked so.
    pub tokens_from: Option<Timestamp>,
    /// When its address was shown to be its owner's, if it was.
    pub email_verified_at: Option<Timestamp>,
}

impl User {
    /// The user as a caller.
    #[must_use]
    pub fn caller(&self) -> Caller {
        match self.role {
            UserRole::Customer => Caller::Customer(self.id),
            UserRole::Admin => Caller::Admin(self.id),
        }
    }
}

/// An account with its password's hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The user.
    pub user: User,
    /// The hash of the password.
    pub password_hash: PasswordHash,
}

/// What a new user gives, with all rules checked.
#[derive(Clone, Debug)]
pub struct Registration {
    /// Address and login.
    pub email: Email,
    /// Password, in the clear until it is hashed.
    pub password: Password,
    /// First name.
    pub first_name: PersonName,
    /// Last name.
    pub last_name: PersonName,
    /// Where texts go, if anywhere.
    pub phone: Option<Phone>,
}

/// Who a bearer token belongs to, as `/auth/validate` tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Who.
    pub caller: Caller,
    /// A user's address; `None` for a service.
    pub email: Option<Email>,
    /// The session of a user's token; `None` for a service.
    pub session: Option<SessionId>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_email_is_trimmed_and_in_lower_case() {
        let email = Email::parse("  Jane.Doe@Example.COM ").unwrap();
        assert_eq!(email.as_str(), "jane.doe@example.com");
    }

    #[test]
    fn what_no_mail_reaches_is_no_email() {
        for bad in [
            "",
            "jane",
            "jane@",
            "@example.com",
            "jane@localhost",
            "a..b@example.com",
            "jane doe@example.com",
            "Jane <jane@example.com>",
            "jane@[127.0.0.1]",
            "jürgen@example.com",
            "jane@example.com\0",
        ] {
            assert_eq!(Email::parse(bad).unwrap_err().code, "format", "{bad}");
        }
        let long = format!("jane@{}.com", "a".repeat(255));
        assert_eq!(Email::parse(&long).unwrap_err().code, "length");
    }

    #[test]
    fn a_phone_number_is_e164() {
        for good in ["+1555123", "+15551234567", "+123456789012345"] {
            assert!(Phone::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "+",
            "15551234567",
            "+0555123456",
            "+155512",
            "+1234567890123456",
            "+1 555 1234567",
        ] {
            assert!(Phone::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_name_is_trimmed_before_it_is_measured() {
        let padded = format!("  {}  ", "ä".repeat(100));
        assert_eq!(
            PersonName::parse(&padded).unwrap().as_str(),
            "ä".repeat(100)
        );
        assert!(PersonName::parse(" ").is_err());
        assert!(PersonName::parse("Ja\nne").is_err());
    }

    #[test]
    fn personal_data_stays_out_of_logs() {
        let shown = format!(
            "{:?} {:?} {:?}",
            Email::parse("jane@example.com").unwrap(),
            PersonName::parse("Jane").unwrap(),
            Phone::parse("+15551234567").unwrap()
        );
        assert!(
            !shown.to_lowercase().contains("jane") && !shown.contains("555"),
            "{shown}"
        );
    }
}
