//! What notifications say: files in `templates/`, compiled into the program.
//!
//! HTML is escaped, plain text is not; a name that a template does not know is an error, not a
//! blank.

use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior};
use serde::Serialize;

use crate::event::EventKind;
use crate::message::{Contact, OrderDetails};

/// A notification's words on both channels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// Subject of the mail.
    pub subject: String,
    /// The mail as HTML.
    pub html: String,
    /// The mail as plain text.
    pub plain: String,
    /// The text message: at most 160 characters of GSM-7.
    pub sms: String,
}

/// A template that cannot be rendered. Trying again does not help.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// The template is wrong, or wants what it is not given.
    #[error("the template cannot be rendered: {0}")]
    Template(#[from] minijinja::Error),
    /// The text message would not fit one SMS.
    #[error("the text message does not fit 160 GSM-7 characters")]
    SmsTooLong,
}

/// The templates of all events.
pub struct Templates(Environment<'static>);

impl std::fmt::Debug for Templates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Templates")
    }
}

const FILES: [(&str, &str); 11] = [
    ("address.html", include_str!("../templates/address.html")),
    ("address.txt", include_str!("../templates/address.txt")),
    ("layout.html", include_str!("../templates/layout.html")),
    (
        "order_created.html",
        include_str!("../templates/order_created.html"),
    ),
    (
        "order_created.txt",
        include_str!("../templates/order_created.txt"),
    ),
    (
        "order_created.subject.txt",
        include_str!("../templates/order_created.subject.txt"),
    ),
    (
        "order_created.sms.txt",
        include_str!("../templates/order_created.sms.txt"),
    ),
    (
        "order_shipped.html",
        include_str!("../templates/order_shipped.html"),
    ),
    (
        "order_shipped.txt",
        include_str!("../templates/order_shipped.txt"),
    ),
    (
        "order_shipped.subject.txt",
        include_str!("../templates/order_shipped.subject.txt"),
    ),
    (
        "order_shipped.sms.txt",
        include_str!("../templates/order_shipped.sms.txt"),
    ),
];

/// What the templates are given. Amounts are texts, so that no digit changes on the way.
#[derive(Serialize)]
struct View<'a> {
    first_name: &'a str,
    number: String,
    items: Vec<ItemView<'a>>,
    total: String,
    currency: &'a str,
    address: AddressView<'a>,
    shipped_on: Option<String>,
}

#[derive(Serialize)]
struct ItemView<'a> {
    name: &'a str,
    quantity: u32,
    subtotal: String,
}

#[derive(Serialize)]
struct AddressView<'a> {
    street: &'a str,
    city: &'a str,
    state: &'a str,
    zip_code: &'a str,
    country: &'a str,
}

impl<'a> View<'a> {
    fn new(order: &'a OrderDetails, contact: &'a Contact) -> Self {
        let address = &order.shipping_address;
        Self {
            first_name: &contact.first_name,
            number: order.id.number(),
            items: order
                .items
                .iter()
                .map(|item| ItemView {
                    name: &item.product_name,
                    quantity: item.quantity,
                    subtotal: item.subtotal.to_string(),
                })
                .collect(),
            total: order.total_amount.to_string(),
            currency: &order.currency,
            address: AddressView {
                street: &address.street,
                city: &address.city,
                state: address.state.as_deref().unwrap_or_default(),
                zip_code: &address.zip_code,
                country: &address.country,
            },
            shipped_on: order
                .shipped_at
                .map(|at| at.strftime("%-d %B %Y").to_string()),
        }
    }
}

impl Templates {
    /// The templates that come with the program.
    ///
    /// # Errors
    /// When one of them is no template.
    pub fn embedded() -> Result<Self, RenderError> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        for (name, source) in FILES {
            environment.add_template(name, source)?;
        }
        Ok(Self(environment))
    }

    /// What the notifications of an event say.
    ///
    /// # Errors
    /// When a template fails, or the text message is too long.
    pub fn render(
        &self,
        kind: EventKind,
        order: &OrderDetails,
        contact: &Contact,
    ) -> Result<Rendered, RenderError> {
        let view = minijinja::Value::from(Serde(&View::new(order, contact)));
        let part = |ending: &str| -> Result<String, RenderError> {
            let name = format!("{}.{ending}", kind.type_key());
            Ok(self.0.get_template(&name)?.render(view.clone())?)
        };
        let rendered = Rendered {
            subject: part("subject.txt")?,
            html: part("html")?,
            plain: part("txt")?,
            sms: part("sms.txt")?,
        };
        if !fits_one_sms(&rendered.sms) {
            return Err(RenderError::SmsTooLong);
        }
        Ok(rendered)
    }
}

/// Whether a text is one SMS: 160 characters that GSM-7 has and ASCII has alike, so that no
/// escape counts double.
fn fits_one_sms(text: &str) -> bool {
    const NOT_GSM7: &str = "`[]{}\\^~|";
    text.len() <= 160
        && text
            .chars()
            .all(|c| (c.is_ascii_graphic() || c == ' ' || c == '\n') && !NOT_GSM7.contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{contact, order};

    fn render(kind: EventKind) -> Rendered {
        Templates::embedded()
            .unwrap()
            .render(kind, &order(), &contact())
            .unwrap()
    }

    #[test]
    fn subjects_name_the_order() {
        assert_eq!(
            render(EventKind::OrderCreated).subject,
            "Order Confirmation - #b2c3d4e5"
        );
        assert_eq!(
            render(EventKind::OrderShipped).subject,
            "Your Order Has Shipped - #b2c3d4e5"
        );
    }

    #[test]
    fn a_confirmation_says_what_was_ordered_for_how_much_and_where_it_goes() {
        let rendered = render(EventKind::OrderCreated);
        for text in [&rendered.html, &rendered.plain] {
            for part in [
                "Jane",
                "#b2c3d4e5",
                "Wireless Headphones",
                "99.98",
                "112.97",
                "USD",
                "Springfield",
            ] {
                assert!(text.contains(part), "{part} in {text}");
            }
        }
        assert!(
            rendered
                .html
                .contains("Your order #b2c3d4e5 has been placed.")
        );
    }

    #[test]
    fn a_shipping_notice_says_when_and_where() {
        let rendered = render(EventKind::OrderShipped);
        for text in [&rendered.html, &rendered.plain] {
            for part in ["#b2c3d4e5", "18 February 2026", "742 Evergreen Terrace"] {
                assert!(text.contains(part), "{part} in {text}");
            }
        }
    }

    #[test]
    fn what_people_type_is_escaped_in_html_and_only_there() {
        let mut order = order();
        order.items[0].product_name = "<script>alert('x')</script>".into();
        order.shipping_address.street = "\"><img src=x>".into();
        let mut contact = contact();
        contact.first_name = "<b>Jane</b>".into();
        let templates = Templates::embedded().unwrap();
        for kind in EventKind::ALL {
            let rendered = templates.render(kind, &order, &contact).unwrap();
            for raw in ["<script>", "<img", "<b>Jane"] {
                assert!(!rendered.html.contains(raw), "{raw} in {}", rendered.html);
            }
            assert!(rendered.html.contains("&lt;b&gt;Jane"));
            assert!(rendered.plain.contains("<b>Jane</b>"));
        }
    }

    #[test]
    fn a_text_message_fits_one_sms_whatever_the_order() {
        let mut order = order();
        order.total_amount = core_kernel::Money::MAX_TOTAL;
        for kind in EventKind::ALL {
            let rendered = Templates::embedded()
                .unwrap()
                .render(kind, &order, &contact());
            let sms = rendered.unwrap().sms;
            assert!(sms.contains("#b2c3d4e5") && fits_one_sms(&sms), "{sms}");
        }
        assert!(!fits_one_sms(&"x".repeat(161)));
        assert!(!fits_one_sms("20 €"));
        assert!(!fits_one_sms("[a]"));
    }

    #[test]
    fn a_name_that_is_not_given_is_an_error() {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.add_template("x.txt", "{{ nobody }}").unwrap();
        let template = environment.get_template("x.txt").unwrap();
        let view = View::new(&order(), &contact()).number;
        assert!(template.render(minijinja::Value::from(view)).is_err());
    }
}
