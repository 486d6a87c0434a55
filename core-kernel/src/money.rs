//! Exact amounts of money. No binary float is anywhere on the way in or out.

use std::fmt;
use std::str::FromStr;

use rust_decimal::Decimal;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

pub use iso_currency::Currency;

/// An amount, never negative, with exactly two fraction digits.
///
/// On the wire it goes out as a JSON number (`112.97`) and comes in as a JSON number, which counts
/// by its value (`49.990` and `1e2` are fine), or as a decimal string (`"49.99"`). Serde support is
/// for `serde_json` only, since it reads and writes the digits themselves.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Money(Decimal);

/// As it goes out: at least nothing, and never with a third fraction digit.
#[cfg(feature = "schema")]
impl utoipa::PartialSchema for Money {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        use utoipa::openapi::schema::{ObjectBuilder, Type};
        ObjectBuilder::new()
            .schema_type(Type::Number)
            .description(Some(
                "An exact amount with at most two fraction digits. Read it as a decimal.",
            ))
            .minimum(Some(0))
            .multiple_of(Some(0.01))
            .into()
    }
}

#[cfg(feature = "schema")]
impl utoipa::ToSchema for Money {}

/// Why a text or a number is no [`Money`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// It is not a number at all.
    #[error("must be a decimal number")]
    NotANumber,
    /// It has a third fraction digit that is not zero.
    #[error("must have at most two fraction digits")]
    TooPrecise,
    /// It is below zero.
    #[error("must not be negative")]
    Negative,
    /// It is beyond what any order can cost.
    #[error("is too large")]
    TooLarge,
}

impl MoneyError {
    /// The stable code of this fault in a problem document.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::NotANumber => "type",
            Self::TooPrecise => "precision",
            Self::Negative => "min",
            Self::TooLarge => "max",
        }
    }
}

/// Sixteen digits before the point are far above every limit and leave room for sums.
const MAX_DIGITS: i64 = 16;

impl Money {
    /// Nothing.
    pub const ZERO: Self = Self(Decimal::from_parts(0, 0, 0, false, 2));
    /// The largest total an order can have: NUMERIC(10,2), PRD §9.2.
    pub const MAX_TOTAL: Self = Self(Decimal::from_parts(1_410_065_407, 2, 0, false, 2));

    /// The amount of a decimal, if it is one.
    ///
    /// # Errors
    /// `Negative`, or `TooPrecise` for a third fraction digit other than zero.
    pub fn from_decimal(value: Decimal) -> Result<Self, MoneyError> {
        if value.is_sign_negative() && !value.is_zero() {
            return Err(MoneyError::Negative);
        }
        let mut cents = value.normalize();
        if cents.scale() > 2 {
            return Err(MoneyError::TooPrecise);
        }
        cents.rescale(2);
        Ok(Self(cents))
    }

    /// The amount as a decimal with two fraction digits.
    #[must_use]
    pub fn as_decimal(self) -> Decimal {
        self.0
    }

    /// Whether it is nothing.
    #[must_use]
    pub fn is_zero(self) -> bool {
        self.0.is_zero()
    }

    /// The sum, or `None` when it is too large to hold.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// So many times the amount, or `None` when it is too large to hold.
    #[must_use]
    pub fn checked_mul(self, times: u32) -> Option<Self> {
        self.0.checked_mul(Decimal::from(times)).map(Self)
    }

    /// Reads one JSON value, a number or a string, without going through a float.
    ///
    /// # Errors
    /// Every [`MoneyError`]; another JSON type is `NotANumber`.
    pub fn from_json(raw: &RawValue) -> Result<Self, MoneyError> {
        let text = raw.get();
        if text.starts_with('"') {
            let text: String = serde_json::from_str(text).map_err(|_| MoneyError::NotANumber)?;
            text.parse()
        } else {
            Self::from_number(text)
        }
    }

    /// Reads a JSON number by its value. The digits are counted before anything is computed, so
    /// `1e400` or a thousand zeros cost nothing.
    fn from_number(text: &str) -> Result<Self, MoneyError> {
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, parse_exponent(exponent)?),
            None => (text, 0),
        };
        let (negative, mantissa) = match mantissa.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, mantissa),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        if whole.is_empty() || !all_digits(whole) || !all_digits(fraction) {
            return Err(MoneyError::NotANumber);
        }
        let digits = format!("{whole}{fraction}");
        let significant = digits.trim_end_matches('0');
        if significant.trim_start_matches('0').is_empty() {
            return Ok(Self::ZERO);
        }
        if negative {
            return Err(MoneyError::Negative);
        }
        // value = significant * 10^power
        let dropped = length(&digits) - length(significant);
        let power = exponent - length(fraction) + dropped;
        if power < -2 {
            return Err(MoneyError::TooPrecise);
        }
        if length(significant.trim_start_matches('0')) + power > MAX_DIGITS {
            return Err(MoneyError::TooLarge);
        }
        let mut cents: i128 = significant.parse().map_err(|_| MoneyError::TooLarge)?;
        for _ in 0..power + 2 {
            cents *= 10;
        }
        Ok(Self(Decimal::from_i128_with_scale(cents, 2)))
    }
}

fn length(text: &str) -> i64 {
    i64::try_from(text.len()).unwrap_or(i64::MAX)
}

fn all_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The exponent, held to a range in which the sums above cannot overflow.
fn parse_exponent(text: &str) -> Result<i64, MoneyError> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if unsigned.is_empty() || !all_digits(unsigned) {
        return Err(MoneyError::NotANumber);
    }
    let size = unsigned.parse().unwrap_or(i64::MAX).min(1_000_000_000);
    Ok(if text.starts_with('-') { -size } else { size })
}

impl FromStr for Money {
    type Err = MoneyError;

    /// Reads the string form: digits, and if there is a point, one or two digits after it.
    fn from_str(text: &str) -> Result<Self, MoneyError> {
        let (whole, fraction) = match text.split_once('.') {
            Some((_, "")) => return Err(MoneyError::NotANumber),
            Some(parts) => parts,
            None => (text, ""),
        };
        if whole.is_empty() || !all_digits(whole) || !all_digits(fraction) {
            return Err(MoneyError::NotANumber);
        }
        if fraction.len() > 2 {
            return Err(MoneyError::TooPrecise);
        }
        Self::from_number(text)
    }
}

/// Always two fraction digits: `12.50`.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Money({})", self.0)
    }
}

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        RawValue::from_string(self.to_string())
            .map_err(serde::ser::Error::custom)?
            .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        Self::from_json(&raw).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(json: &str) -> Result<Money, MoneyError> {
        Money::from_json(&RawValue::from_string(json.to_owned()).unwrap())
    }

    #[test]
    fn a_number_counts_by_its_value() {
        for (json, shown) in [
            ("49.99", "49.99"),
            ("49.990", "49.99"),
            ("1e2", "100.00"),
            ("1E+2", "100.00"),
            ("4999e-2", "49.99"),
            ("0.1e1", "1.00"),
            ("0", "0.00"),
            ("-0.0", "0.00"),
            ("0e400", "0.00"),
            ("99999999.99", "99999999.99"),
            ("0.10000000000000000000000000000000000000", "0.10"),
        ] {
            assert_eq!(
                read(json).map(|m| m.to_string()).as_deref(),
                Ok(shown),
                "{json}"
            );
        }
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        use MoneyError::{Negative, NotANumber, TooLarge, TooPrecise};
        for (json, error) in [
            ("49.999", TooPrecise),
            ("1e-3", TooPrecise),
            ("0.0000000000000000000000000000000001", TooPrecise),
            ("-1", Negative),
            ("1e400", TooLarge),
            ("99999999999999999", TooLarge),
            ("true", NotANumber),
            ("null", NotANumber),
            ("[]", NotANumber),
            (r#""""#, NotANumber),
            (r#""1e2""#, NotANumber),
            (r#""-1""#, NotANumber),
            (r#""1.""#, NotANumber),
            (r#"".5""#, NotANumber),
            (r#"" 1""#, NotANumber),
            (r#""1.999""#, TooPrecise),
            (r#""1.990""#, TooPrecise),
        ] {
            assert_eq!(read(json), Err(error), "{json}");
        }
    }

    #[test]
    fn the_largest_total_is_that_of_the_column() {
        assert_eq!(Money::MAX_TOTAL.to_string(), "99999999.99");
    }

    proptest! {
        #[test]
        fn every_amount_survives_the_wire(cents in 0_i64..10_000_000_000) {
            let money = Money::from_decimal(Decimal::new(cents, 2)).unwrap();
            let json = serde_json::to_string(&money).unwrap();
            prop_assert_eq!(&json, &format!("{}.{:02}", cents / 100, cents % 100));
            prop_assert_eq!(serde_json::from_str::<Money>(&json).unwrap(), money);
            let quoted = format!("\"{json}\"");
            prop_assert_eq!(serde_json::from_str::<Money>(&quoted).unwrap(), money);
        }

        #[test]
        fn no_text_makes_it_panic(text in "[-+0-9.eE]{0,40}") {
            let _ = Money::from_number(&text);
            let _ = text.parse::<Money>();
        }
    }
}
