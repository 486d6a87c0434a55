//! Who orders, what, and where it goes.

use anyhow::anyhow;
use core_kernel::{Currency, Money, Text, Violation};
use core_orders::{Address, LineItem, NewOrder, Notes, Quantity, UnitPrice};
use fastrand::Rng;
use uuid::{Uuid, uuid};

const FIRST: [&str; 16] = [
    "Amara", "Ben", "Chiara", "Daniel", "Elif", "Finn", "Grace", "Hiro", "Ines", "Jonas", "Kavya",
    "Liam", "Mei", "Noah", "Olga", "Pedro",
];

const LAST: [&str; 16] = [
    "Almeida", "Brown", "Costa", "Dubois", "Eriksen", "Fischer", "Garcia", "Haddad", "Ivanova",
    "Jensen", "Kim", "Lopez", "Moreau", "Nguyen", "Okafor", "Patel",
];

const GOODS: [(Uuid, &str, &str); 10] = [
    (
        uuid!("f47ac10b-58cc-4372-a567-0e02b2c3d479"),
        "Wireless Headphones",
        "49.99",
    ),
    (
        uuid!("6ba7b810-9dad-11d1-80b4-00c04fd430c8"),
        "USB-C Cable",
        "12.99",
    ),
    (
        uuid!("1b671a64-40d5-491e-99b0-da01ff1f3341"),
        "Mechanical Keyboard",
        "119.00",
    ),
    (
        uuid!("9a7b330a-a736-4f3e-9f0e-6d3a3f0a1c11"),
        "Desk Lamp",
        "34.50",
    ),
    (
        uuid!("3d6f0eb0-5e26-4a4c-8f1f-1f5b2c2f9b22"),
        "Espresso Beans 1 kg",
        "21.90",
    ),
    (
        uuid!("c56a4180-65aa-42ec-a945-5fd21dec0538"),
        "Notebook A5",
        "7.25",
    ),
    (
        uuid!("0e37df36-f698-11e6-8dd4-cb9ced3df976"),
        "Rain Jacket",
        "89.95",
    ),
    (
        uuid!("16fd2706-8baf-433b-82eb-8c7fada847da"),
        "Water Bottle",
        "18.00",
    ),
    (
        uuid!("886313e1-3b8a-5372-9b90-0c9aee199e5d"),
        "Bicycle Bell",
        "9.40",
    ),
    (
        uuid!("a8098c1a-f86e-11da-bd1a-00112444be1e"),
        "Office Chair",
        "249.00",
    ),
];

/// Street, city, state, postal code, country, currency.
type Place = (
    &'static str,
    &'static str,
    Option<&'static str>,
    &'static str,
    &'static str,
    Currency,
);

const PLACES: [Place; 6] = [
    (
        "Evergreen Terrace",
        "Springfield",
        Some("IL"),
        "62704",
        "US",
        Currency::USD,
    ),
    (
        "Valencia Street",
        "San Francisco",
        Some("CA"),
        "94110",
        "US",
        Currency::USD,
    ),
    (
        "Kastanienallee",
        "Berlin",
        None,
        "10435",
        "DE",
        Currency::EUR,
    ),
    ("Rue Oberkampf", "Paris", None, "75011", "FR", Currency::EUR),
    (
        "Deansgate",
        "Manchester",
        None,
        "M3 2BW",
        "GB",
        Currency::GBP,
    ),
    (
        "Rua Augusta",
        "Lisboa",
        None,
        "1100-053",
        "PT",
        Currency::EUR,
    ),
];

const NOTES: [&str; 3] = [
    "Please leave at the front door.",
    "A present: no invoice in the parcel, please.",
    "Ring twice.",
];

fn one<T: Copy>(rng: &mut Rng, of: &[T]) -> T {
    of[rng.usize(..of.len())]
}

/// First and last name.
pub(super) fn name(rng: &mut Rng) -> (&'static str, &'static str) {
    (one(rng, &FIRST), one(rng, &LAST))
}

/// Something to order.
pub(super) fn order(rng: &mut Rng) -> anyhow::Result<NewOrder> {
    try_order(rng).map_err(|fault| anyhow!("a made-up order is wrong: {fault}"))
}

fn try_order(rng: &mut Rng) -> Result<NewOrder, Violation> {
    let items = (0..rng.usize(1..=4))
        .map(|_| item(rng))
        .collect::<Result<_, _>>()?;
    let (street, city, state, zip_code, country, currency) = one(rng, &PLACES);
    let address = Address {
        street: Text::parse(&format!("{} {street}", rng.u32(1..200)))?,
        city: Text::parse(city)?,
        state: state.map(Text::parse).transpose()?,
        zip_code: Text::parse(zip_code)?,
        country: Address::country(country)?,
    };
    let notes = match rng.u8(..5) {
        0 => Some(Notes::parse(one(rng, &NOTES))?),
        _ => None,
    };
    NewOrder::new(items, address, currency, notes)
}

fn item(rng: &mut Rng) -> Result<LineItem, Violation> {
    let (id, name, price) = one(rng, &GOODS);
    let price: Money = price
        .parse()
        .map_err(|_| Violation::new("format", "must be a price"))?;
    LineItem::new(
        id,
        Text::parse(name)?,
        Quantity::new(rng.i64(1..=3))?,
        UnitPrice::new(price)?,
    )
}
