//! Mails as they would go over the wire (RFC 5322, MIME).

use std::time::SystemTime;

use core_kernel::BoxError;
use core_notify::Mail;
use jiff::Timestamp;
use lettre::Message;
use lettre::message::{Mailbox, MultiPart};

/// The whole mail: plain text and HTML as alternatives.
///
/// # Errors
/// When the recipient is no address.
pub(super) fn build(from: &Mailbox, mail: Mail<'_>, at: Timestamp) -> Result<Vec<u8>, BoxError> {
    let alternatives =
        MultiPart::alternative_plain_html(mail.plain.to_owned(), mail.html.to_owned());
    let message_id = format!("<{}@shopflow.local>", mail.notification_id);
    let message = Message::builder()
        .from(from.clone())
        .to(mail.to.parse::<Mailbox>()?)
        .subject(mail.subject)
        .date(SystemTime::from(at))
        .message_id(Some(message_id))
        .multipart(alternatives)?;
    Ok(message.formatted())
}
