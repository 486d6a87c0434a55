//! Data to look at templates with: as it usually is, as people would type it who mean harm, and as
//! little as there can be.

use core_kernel::{Money, OrderId, UserId};
use jiff::Timestamp;
use uuid::Uuid;

use crate::event::EventKind;
use crate::message::{Address, Contact, LineItem, OrderDetails};
use crate::template::{Facts, Links};

/// What all templates can be rendered with.
#[derive(Clone, Debug)]
pub struct Sample {
    /// What it is called: `usual`, `hostile`, `bare`.
    pub name: &'static str,
    /// An order.
    pub order: OrderDetails,
    /// Whose it is.
    pub contact: Contact,
    /// The pages of the shop.
    pub links: Links,
}

/// What must come out of HTML escaped.
pub(crate) const SCRIPT: &str = "<script>alert('x')</script>";

const ORDER: OrderId = OrderId(Uuid::from_u128(0xb2c3_d4e5_f6a7_8901_bcde_f123_4567_8901));
const USER: UserId = UserId(Uuid::from_u128(0xa1b2_c3d4_e5f6_7890_abcd_ef12_3456_7890));

impl Sample {
    /// All of them; the first is the usual one.
    #[must_use]
    pub fn all() -> [Self; 3] {
        [Self::usual(), Self::hostile(), Self::bare()]
    }

    /// The example of the PRD (§4.1, §4.2), shipped.
    #[must_use]
    pub fn usual() -> Self {
        Self {
            name: "usual",
            order: OrderDetails {
                id: ORDER,
                user_id: USER,
                items: vec![
                    item("Wireless Headphones", 2, "99.98"),
                    item("USB-C Cable", 1, "12.99"),
                ],
                shipping_address: Address {
                    street: "742 Evergreen Terrace".into(),
                    city: "Springfield".into(),
                    state: Some("IL".into()),
                    zip_code: "62704".into(),
                    country: "US".into(),
                },
                total_amount: money("112.97"),
                currency: "USD".into(),
                // 2026-02-18T09:30:00Z
                shipped_at: Timestamp::from_second(1_771_407_000).ok(),
            },
            contact: Contact {
                email: "jane.doe@example.com".into(),
                first_name: "Jane".into(),
                phone: Some("+15551234567".into()),
            },
            links: Links {
                password_reset: Some("https://shop.example/reset".into()),
                email_verification: Some("https://shop.example/verify".into()),
            },
        }
    }

    /// All that people type is as long as it may be (contract §3), and nothing of it is harmless.
    fn hostile() -> Self {
        let long = |characters: usize| {
            let pieces = [
                SCRIPT,
                "\"><img src=x onerror=alert(1)>",
                " {{ 7 * 7 }} \u{202e}🎉中 & ' ",
            ];
            let text = pieces.concat().repeat(3);
            text.chars().take(characters).collect::<String>()
        };
        let usual = Self::usual();
        let items = (0..100).map(|_| item(&long(200), 1_000_000, "99999999.99"));
        Self {
            name: "hostile",
            order: OrderDetails {
                items: items.collect(),
                shipping_address: Address {
                    street: long(200),
                    city: long(100),
                    state: Some(long(100)),
                    zip_code: long(20),
                    country: "US".into(),
                },
                total_amount: Money::MAX_TOTAL,
                ..usual.order
            },
            contact: Contact {
                first_name: long(100),
                ..usual.contact
            },
            links: usual.links,
        }
    }

    /// Nothing that can be absent is there.
    fn bare() -> Self {
        let usual = Self::usual();
        Self {
            name: "bare",
            order: OrderDetails {
                items: vec![item("Cable", 1, "0.01")],
                shipping_address: Address {
                    state: None,
                    ..usual.order.shipping_address
                },
                total_amount: money("0.01"),
                shipped_at: None,
                ..usual.order
            },
            contact: Contact {
                phone: None,
                ..usual.contact
            },
            links: Links::default(),
        }
    }

    /// What the notifications of an event are about.
    #[must_use]
    pub fn facts(&self, kind: EventKind) -> Facts<'_> {
        match kind.is_about_order() {
            true => Facts::Order(&self.order),
            false => Facts::Token(&self.links),
        }
    }
}

fn item(name: &str, quantity: u32, subtotal: &str) -> LineItem {
    LineItem {
        product_name: name.to_owned(),
        quantity,
        subtotal: money(subtotal),
    }
}

/// An amount that is written here.
fn money(amount: &str) -> Money {
    serde_json::from_str(amount).unwrap_or(Money::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_sample_is_the_example_of_the_prd() {
        let order = Sample::usual().order;
        assert_eq!(order.id.to_string(), "b2c3d4e5-f6a7-8901-bcde-f12345678901");
        assert_eq!(order.total_amount.to_string(), "112.97");
        assert_eq!(order.items[0].subtotal.to_string(), "99.98");
        let shipped = order.shipped_at.map(core_kernel::wire_time::format);
        assert_eq!(shipped.as_deref(), Some("2026-02-18T09:30:00.000Z"));
    }
}
