//! What notifications say: files in `templates/`, compiled into the program.
//!
//! HTML is escaped, plain text is not; a name that a template does not know is an error, not a
//! blank.

mod check;

use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior};
use serde::Serialize;

use crate::event::EventKind;
use crate::message::{Contact, OrderDetails};
use crate::notification::MASK;
use crate::sms::SmsSize;

pub use check::TemplateProblem;

/// A notification's words on its channels.
#[derive(Clone, PartialEq, Eq)]
pub struct Rendered {
    /// Subject of the mail.
    pub subject: String,
    /// The mail as HTML.
    pub html: String,
    /// The mail as plain text.
    pub plain: String,
    /// The text message, if one goes out: at most 160 characters of GSM-7.
    pub sms: Option<String>,
}

impl std::fmt::Debug for Rendered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Rendered(***)")
    }
}

/// What a notification is about.
#[derive(Clone, Copy, Debug)]
pub enum Facts<'a> {
    /// An order.
    Order(&'a OrderDetails),
    /// What a one-time token does, at these pages of the shop. The token itself is masked: it comes
    /// in when the mail is sent.
    Token(&'a Links),
}

/// The pages of the shop that mails lead to, with `?token=` behind them. A mail without a page has the
/// token alone.
#[derive(Clone, Debug, Default)]
pub struct Links {
    /// Where another password is set.
    pub password_reset: Option<String>,
    /// Where an address is verified.
    pub email_verification: Option<String>,
}

impl Links {
    /// The page for an event, with the mask of its token.
    fn masked(&self, kind: EventKind) -> Option<String> {
        let page = match kind {
            EventKind::EmailVerificationRequested => &self.email_verification,
            _ => &self.password_reset,
        };
        page.as_ref().map(|page| format!("{page}?token={MASK}"))
    }
}

/// A template that cannot be rendered. Trying again does not help.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// The template is wrong, or wants what it is not given.
    #[error("the template cannot be rendered: {0}")]
    Template(#[from] minijinja::Error),
    /// The text message would not fit one SMS.
    #[error(
        "the text message is no SMS of 160 GSM-7 characters: it takes {} segments in {}",
        .0.segments, .0.encoding.as_str()
    )]
    Sms(SmsSize),
}

/// The templates of all events.
pub struct Templates(Environment<'static>);

impl std::fmt::Debug for Templates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Templates")
    }
}

const FILES: [(&str, &str); 17] = [
    ("address.html", include_str!("../templates/address.html")),
    ("address.txt", include_str!("../templates/address.txt")),
    (
        "email_verification.html",
        include_str!("../templates/email_verification.html"),
    ),
    (
        "email_verification.subject.txt",
        include_str!("../templates/email_verification.subject.txt"),
    ),
    (
        "email_verification.txt",
        include_str!("../templates/email_verification.txt"),
    ),
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
    (
        "password_reset.html",
        include_str!("../templates/password_reset.html"),
    ),
    (
        "password_reset.subject.txt",
        include_str!("../templates/password_reset.subject.txt"),
    ),
    (
        "password_reset.txt",
        include_str!("../templates/password_reset.txt"),
    ),
];

/// What the templates are given.
#[derive(Serialize)]
#[serde(untagged)]
enum View<'a> {
    Order(OrderView<'a>),
    Token(TokenView<'a>),
}

#[derive(Serialize)]
struct TokenView<'a> {
    first_name: &'a str,
    link: Option<String>,
    code: &'static str,
}

/// Amounts are texts, so that no digit changes on the way.
#[derive(Serialize)]
struct OrderView<'a> {
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
    fn new(kind: EventKind, facts: Facts<'a>, contact: &'a Contact) -> Self {
        match facts {
            Facts::Order(order) => Self::Order(OrderView::new(order, contact)),
            Facts::Token(links) => Self::Token(TokenView {
                first_name: &contact.first_name,
                link: links.masked(kind),
                code: MASK,
            }),
        }
    }
}

impl<'a> OrderView<'a> {
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
        Self::of(&FILES)
    }

    fn of(files: &[(&'static str, &'static str)]) -> Result<Self, RenderError> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        for (name, source) in files {
            environment.add_template(name, source)?;
        }
        Ok(Self(environment))
    }

    /// What the notifications of an event say.
    ///
    /// # Errors
    /// When a template fails (also when the facts are not those that the event calls for), or the
    /// text message is too long.
    pub fn render(
        &self,
        kind: EventKind,
        facts: Facts<'_>,
        contact: &Contact,
    ) -> Result<Rendered, RenderError> {
        let view = minijinja::Value::from(Serde(&View::new(kind, facts, contact)));
        let part = |ending: &str| -> Result<String, RenderError> {
            let name = format!("{}.{ending}", kind.type_key());
            Ok(self.0.get_template(&name)?.render(view.clone())?)
        };
        let rendered = Rendered {
            subject: part("subject.txt")?,
            html: part("html")?,
            plain: part("txt")?,
            sms: match facts {
                Facts::Order(_) => Some(part("sms.txt")?),
                Facts::Token(_) => None,
            },
        };
        match rendered.sms.as_deref().map(SmsSize::of) {
            Some(size) if !size.is_one_of_gsm7() => Err(RenderError::Sms(size)),
            _ => Ok(rendered),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{contact, links, order};

    const ORDERS: [EventKind; 2] = [EventKind::OrderCreated, EventKind::OrderShipped];

    fn render(kind: EventKind) -> Rendered {
        let (order, links) = (order(), links());
        let facts = match kind {
            EventKind::OrderCreated | EventKind::OrderShipped => Facts::Order(&order),
            _ => Facts::Token(&links),
        };
        Templates::embedded()
            .unwrap()
            .render(kind, facts, &contact())
            .unwrap()
    }

    #[test]
    fn a_mail_with_a_token_leads_to_the_page_for_it_and_goes_by_mail_only() {
        for (kind, subject, link) in [
            (
                EventKind::PasswordResetRequested,
                "Reset your ShopFlow password",
                "https://shop.example/reset?token=********",
            ),
            (
                EventKind::EmailVerificationRequested,
                "Confirm your email address",
                "https://shop.example/verify?token=********",
            ),
        ] {
            let rendered = render(kind);
            assert_eq!(rendered.subject, subject);
            assert!(rendered.plain.contains(link), "{}", rendered.plain);
            let escaped = link.replace('/', "&#x2f;");
            assert!(rendered.html.contains(&escaped), "{}", rendered.html);
            for text in [&rendered.plain, &rendered.html] {
                assert!(text.contains("Jane") && text.matches(MASK).count() == 2);
                assert!(!text.contains("ordered"), "{text}");
            }
            assert_eq!(rendered.sms, None);
        }
    }

    #[test]
    fn without_a_page_a_mail_has_the_token_alone() {
        let templates = Templates::embedded().unwrap();
        let links = Links::default();
        for kind in [
            EventKind::PasswordResetRequested,
            EventKind::EmailVerificationRequested,
        ] {
            let rendered = templates.render(kind, Facts::Token(&links), &contact());
            let rendered = rendered.unwrap();
            for text in [&rendered.plain, &rendered.html] {
                assert_eq!(text.matches(MASK).count(), 1, "{text}");
                assert!(!text.contains("href") && !text.contains("link"), "{text}");
            }
        }
    }

    #[test]
    fn facts_of_another_kind_are_an_error() {
        let templates = Templates::embedded().unwrap();
        let (order, links) = (order(), links());
        for (kind, facts) in [
            (EventKind::OrderCreated, Facts::Token(&links)),
            (EventKind::PasswordResetRequested, Facts::Order(&order)),
        ] {
            assert!(templates.render(kind, facts, &contact()).is_err());
        }
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
        let links = links();
        let templates = Templates::embedded().unwrap();
        for kind in EventKind::ALL {
            let facts = match ORDERS.contains(&kind) {
                true => Facts::Order(&order),
                false => Facts::Token(&links),
            };
            let rendered = templates.render(kind, facts, &contact).unwrap();
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
        for kind in ORDERS {
            let rendered =
                Templates::embedded()
                    .unwrap()
                    .render(kind, Facts::Order(&order), &contact());
            let sms = rendered.unwrap().sms.unwrap();
            assert!(sms.contains("#b2c3d4e5"), "{sms}");
            assert!(SmsSize::of(&sms).is_one_of_gsm7(), "{sms}");
        }
    }

    #[test]
    fn a_name_that_is_not_given_is_an_error() {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.add_template("x.txt", "{{ nobody }}").unwrap();
        let template = environment.get_template("x.txt").unwrap();
        let view = OrderView::new(&order(), &contact()).number;
        assert!(template.render(minijinja::Value::from(view)).is_err());
    }
}
