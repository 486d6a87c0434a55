//! Cursors: places in lists, as clients carry them from one request to the next.
//!
//! A cursor is base64url of: a version (1 byte), the start of a hash over the list and what follows
//! (8 bytes), the id of an item (16 bytes), and the item's value in the field that the list is sorted
//! by (text). The hash tells a cursor that was cut, changed or taken from another list. It is no
//! secret, and need not be: a cursor lets nobody see anything, since whose things a list holds is
//! decided anew at every request.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use core_kernel::Violation;
use ring::digest::{Context, SHA256};
use serde::Serialize;
use uuid::Uuid;

const VERSION: u8 = 1;
const HASH: usize = 8;
const ID: usize = 16;

/// The cursor of an item in the list that `list` describes: its name, its sort, its filter.
pub(crate) fn write(list: &impl Serialize, id: Uuid, value: &str) -> String {
    let place = [id.as_bytes(), value.as_bytes()].concat();
    let hash = hash(list, &place);
    BASE64_URL_SAFE_NO_PAD.encode([&[VERSION], &hash[..], &place].concat())
}

/// The item's id and what `parse` makes of its value.
///
/// # Errors
/// `format` for what is no cursor of this list, sorted and filtered so.
pub(crate) fn read<T>(
    list: &impl Serialize,
    cursor: &str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<(Uuid, T), Violation> {
    place(list, cursor, parse).ok_or_else(|| {
        let message = "must be a next_cursor of this list, with the same sort and filters";
        Violation::new("format", message)
    })
}

fn place<T>(
    list: &impl Serialize,
    cursor: &str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Option<(Uuid, T)> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(cursor).ok()?;
    let rest = bytes.strip_prefix(&[VERSION])?;
    let (found, place) = rest.split_at_checked(HASH)?;
    if found != hash(list, place) {
        return None;
    }
    let (id, value) = place.split_at_checked(ID)?;
    let value = parse(std::str::from_utf8(value).ok()?)?;
    Some((Uuid::from_slice(id).ok()?, value))
}

fn hash(list: &impl Serialize, place: &[u8]) -> [u8; HASH] {
    let mut context = Context::new(&SHA256);
    // Names and words, which can always be written.
    context.update(&serde_json::to_vec(list).unwrap_or_default());
    context.update(place);
    let mut start = [0; HASH];
    start.copy_from_slice(&context.finish().as_ref()[..HASH]);
    start
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(list: &str, cursor: &str) -> Option<(Uuid, i64)> {
        read(&list, cursor, |value| value.parse().ok()).ok()
    }

    #[test]
    fn a_cursor_comes_back_in_its_own_list_only() {
        let id = Uuid::from_u128(7);
        let cursor = write(&"orders", id, "-12");
        assert_eq!(found("orders", &cursor), Some((id, -12)));
        assert_eq!(found("others", &cursor), None);
    }

    #[test]
    fn what_is_no_cursor_is_refused() {
        let cursor = write(&"orders", Uuid::nil(), "1");
        for bad in [
            String::new(),
            "null".into(),
            "ä".into(),
            "AQ".into(),
            format!("{cursor}="),
            format!("{cursor}MQ"),
            cursor.replacen('A', "B", 1),
            cursor[..20].into(),
            write(&"orders", Uuid::nil(), "x"),
        ] {
            assert_eq!(found("orders", &bad), None, "{bad}");
        }
    }
}
