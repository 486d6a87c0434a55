//! What the bodies of the order service must look like; `dto.rs` reads them.

use core_kernel::{Currency, Money};
use core_orders::{
    Address, City, Country, NewOrder, Notes, OrderStatus, ProductName, Quantity, State, Street,
    ZipCode,
};
use serde_json::{Value, json};
use utoipa::PartialSchema;

use crate::openapi::shapes::{about, integer, object, or_null, text, uuid};

/// `POST /orders`.
pub(super) fn new_order() -> Value {
    object(
        2,
        [
            ("items", items()),
            ("shipping_address", address()),
            ("currency", or_null(currency())),
            ("notes", or_null(notes())),
        ],
    )
}

/// `PATCH /orders/{id}/status`.
pub(super) fn transition() -> Value {
    object(1, [("status", json!(OrderStatus::schema()))])
}

fn items() -> Value {
    let item = object(
        4,
        [
            ("product_id", uuid()),
            ("product_name", text(ProductName::MAX)),
            ("quantity", integer(Quantity::MIN, Quantity::MAX)),
            ("unit_price", price()),
        ],
    );
    json!({
        "type": "array", "minItems": 1, "maxItems": NewOrder::MAX_ITEMS, "items": item,
        "description": format!("Together they must not cost more than {}.", Money::MAX_TOTAL),
    })
}

/// A number counts by its value, a text is a decimal.
fn price() -> Value {
    let text = r"^(0*[1-9][0-9]{0,7}(\.[0-9]{1,2})?|0+\.(0[1-9]|[1-9][0-9]?))$";
    json!({
        "description": "More than 0, with at most two fraction digits.",
        "anyOf": [
            { "type": "number", "minimum": 0.01, "maximum": 99_999_999.99, "multipleOf": 0.01 },
            { "type": "string", "pattern": text },
        ],
    })
}

fn address() -> Value {
    let mut address = object(
        4,
        [
            ("street", text(Street::MAX)),
            ("city", text(City::MAX)),
            ("zip_code", text(ZipCode::MAX)),
            ("country", country()),
            (
                "state",
                about(or_null(text(State::MAX)), "Required in the US."),
            ),
        ],
    );
    let needing: Vec<&str> = Country::iter()
        .filter(|country| Address::needs_state(**country))
        .map(Country::alpha2)
        .collect();
    address["if"] =
        json!({ "properties": { "country": { "enum": needing } }, "required": ["country"] });
    address["then"] =
        json!({ "properties": { "state": { "type": "string" } }, "required": ["state"] });
    address
}

fn country() -> Value {
    let codes: Vec<&str> = Country::iter().map(Country::alpha2).collect();
    json!({ "type": "string", "enum": codes, "description": "ISO 3166-1 alpha-2." })
}

fn currency() -> Value {
    let letters = || b'A'..=b'Z';
    let codes: Vec<&str> = letters()
        .flat_map(|first| letters().map(move |second| (first, second)))
        .flat_map(|(first, second)| letters().map(move |third| [first, second, third]))
        .filter_map(|code| Currency::from_code(std::str::from_utf8(&code).ok()?))
        .map(|currency| currency.code())
        .collect();
    json!({ "type": "string", "enum": codes, "default": "USD", "description": "ISO 4217." })
}

fn notes() -> Value {
    let pattern = r"^[^\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]*$";
    json!({ "type": "string", "maxLength": Notes::MAX, "pattern": pattern })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::openapi::testing::assert_read_so;
    use crate::orders::dto;

    #[test]
    fn orders_are_read_as_the_document_says() {
        assert_read_so(&new_order(), |body| {
            dto::new_order(body, core_kernel::Faults::new()).err()
        });
        assert_read_so(&transition(), |body| dto::status(body).err());
    }
}
