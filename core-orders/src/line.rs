//! What a customer orders and where it goes.

use core_kernel::{Money, Text, Violation};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// An assigned ISO 3166-1 country.
pub use isocountry::CountryCode as Country;

/// 1 to 200 characters (PRD §4.2).
pub type ProductName = Text<200>;

/// How many pieces: 1 to 1,000,000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "schema", schema(minimum = 1, maximum = 1_000_000))]
#[serde(transparent)]
pub struct Quantity(u32);

impl Quantity {
    /// The least.
    pub const MIN: u32 = 1;
    /// The most.
    pub const MAX: u32 = 1_000_000;

    /// The quantity, if it is one.
    ///
    /// # Errors
    /// `min` or `max`.
    pub fn new(value: i64) -> Result<Self, Violation> {
        match u32::try_from(value) {
            Ok(quantity @ Self::MIN..=Self::MAX) => Ok(Self(quantity)),
            _ if value < Self::MIN.into() => Err(Violation::new("min", "must be at least 1")),
            _ => Err(Violation::new("max", "must be at most 1000000")),
        }
    }

    /// The number of pieces.
    #[must_use]
    pub fn get(self) -> u32 {
        self.0
    }
}

/// What one piece costs: more than nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnitPrice(Money);

impl UnitPrice {
    /// The price, if it is one.
    ///
    /// # Errors
    /// `min` for nothing.
    pub fn new(price: Money) -> Result<Self, Violation> {
        if price.is_zero() {
            return Err(Violation::new("min", "must be greater than 0"));
        }
        Ok(Self(price))
    }

    /// The amount.
    #[must_use]
    pub fn amount(self) -> Money {
        self.0
    }
}

/// One line of an order (PRD §3.2). Stores keep it as JSON; `Deserialize` trusts what they wrote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct LineItem {
    /// What.
    pub product_id: Uuid,
    /// Its name when it was ordered.
    #[cfg_attr(feature = "schema", schema(value_type = String, min_length = 1, max_length = 200))]
    pub product_name: ProductName,
    /// How many.
    pub quantity: Quantity,
    /// What one costs.
    pub unit_price: Money,
    /// What they cost together.
    pub subtotal: Money,
}

impl LineItem {
    /// The line, with its subtotal computed.
    ///
    /// # Errors
    /// `max` when the subtotal is beyond every total.
    pub fn new(
        product_id: Uuid,
        product_name: ProductName,
        quantity: Quantity,
        unit_price: UnitPrice,
    ) -> Result<Self, Violation> {
        let unit_price = unit_price.amount();
        let subtotal = unit_price
            .checked_mul(quantity.get())
            .ok_or_else(too_large)?;
        Ok(Self {
            product_id,
            product_name,
            quantity,
            unit_price,
            subtotal,
        })
    }
}

/// The fault of an order that costs more than the column can hold.
pub(crate) fn too_large() -> Violation {
    Violation::new("max", "must not cost more than 99999999.99 together")
}

/// Street and number: 1 to 200 characters (PRD §4.2), as all of an address.
pub type Street = Text<200>;

/// City.
pub type City = Text<100>;

/// State or province.
pub type State = Text<100>;

/// Postal code.
pub type ZipCode = Text<20>;

/// Where an order goes (PRD §3.2). Stores keep it as JSON; `Deserialize` trusts what they wrote.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// Street and number.
    pub street: Street,
    /// City.
    pub city: City,
    /// State or province; always there in the US.
    pub state: Option<State>,
    /// Postal code.
    pub zip_code: ZipCode,
    /// Country, as its two-letter code.
    #[serde(with = "alpha2")]
    pub country: Country,
}

mod alpha2 {
    use serde::{Deserialize, Deserializer, Serializer, de};

    use super::{Address, Country};

    pub(super) fn serialize<S: Serializer>(country: &Country, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(country.alpha2())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Country, D::Error> {
        let code = String::deserialize(from)?;
        Address::country(&code).map_err(|_| de::Error::custom("no country code"))
    }
}

impl Address {
    /// The country of a two-letter code in upper case.
    ///
    /// # Errors
    /// `format` when no country has it.
    pub fn country(code: &str) -> Result<Country, Violation> {
        Country::for_alpha2(code)
            .ok()
            .filter(|country| country.alpha2() == code)
            .ok_or_else(|| Violation::new("format", "must be an ISO 3166-1 alpha-2 country code"))
    }

    /// Whether an address there must name its state (PRD §4.2).
    #[must_use]
    pub fn needs_state(country: Country) -> bool {
        country == Country::USA
    }
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Address(***, {})", self.country.alpha2())
    }
}

/// What the customer adds in their own words: up to 500 characters, lines allowed.
#[derive(Clone, PartialEq, Eq)]
pub struct Notes(String);

impl Notes {
    /// How many characters they may have.
    pub const MAX: usize = 500;

    /// The notes, kept as they are.
    ///
    /// # Errors
    /// `length` or, for control characters other than line breaks and tabs, `format`.
    pub fn parse(text: &str) -> Result<Self, Violation> {
        if text.chars().nth(Self::MAX).is_some() {
            return Err(Violation::new("length", "must have at most 500 characters"));
        }
        if text
            .chars()
            .any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t'))
        {
            return Err(Violation::new(
                "format",
                "must not contain control characters",
            ));
        }
        Ok(Self(text.to_owned()))
    }

    /// Notes that were checked when they were stored.
    #[must_use]
    pub fn trusted(text: String) -> Self {
        Self(text)
    }

    /// The notes.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Notes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Notes(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantity_is_one_to_a_million() {
        for (value, code) in [
            (0, "min"),
            (-1, "min"),
            (1_000_001, "max"),
            (i64::MAX, "max"),
        ] {
            assert_eq!(Quantity::new(value).unwrap_err().code, code);
        }
        assert_eq!(Quantity::new(1_000_000).unwrap().get(), 1_000_000);
    }

    #[test]
    fn a_country_is_an_assigned_code_in_upper_case() {
        assert_eq!(Address::country("US").unwrap(), Country::USA);
        for bad in ["us", "ZZ", "USA", "", "U"] {
            assert!(Address::country(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn notes_may_have_lines_but_no_other_control_characters() {
        assert!(Notes::parse("a\nb\tc").is_ok());
        assert!(Notes::parse("a\0").is_err());
        assert!(Notes::parse(&"ä".repeat(500)).is_ok());
        assert!(Notes::parse(&"ä".repeat(501)).is_err());
    }
}
