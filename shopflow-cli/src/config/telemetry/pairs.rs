//! Lists of pairs, as OpenTelemetry's variables are written.

/// What a list has to be.
pub(super) const PAIRS: &str = "must be key=value pairs, comma-separated and percent-encoded";

/// The pairs of a list such as `a=1,b=two%20words` (W3C Baggage); `None` in place of what is none.
pub(super) fn pairs(text: &str) -> impl Iterator<Item = Option<(String, String)>> {
    let parts = text.split(',').map(str::trim);
    parts.filter(|part| !part.is_empty()).map(|part| {
        let (name, value) = part.split_once('=')?;
        let name = name.trim();
        (!name.is_empty()).then_some(())?;
        Some((name.to_owned(), decoded(value.trim())?))
    })
}

/// Text without its percent-encoding; `None` where `%` is not followed by two hex digits, or what comes
/// out is no text.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let (byte, after) = match (first, after) {
            (b'%', [high, low, after @ ..]) => (digit(*high)? << 4 | digit(*low)?, after),
            (b'%', _) => return None,
            (byte, after) => (*byte, after),
        };
        bytes.push(byte);
        rest = after;
    }
    String::from_utf8(bytes).ok()
}

fn digit(byte: u8) -> Option<u8> {
    let digit = char::from(byte).to_digit(16)?;
    u8::try_from(digit).ok()
}

#[cfg(test)]
mod tests {
    use super::decoded;

    #[test]
    fn what_is_no_percent_encoding_is_refused() {
        assert_eq!(decoded("a%20%c3%A4").as_deref(), Some("a ä"));
        for bad in ["%", "a%2", "%+5", "%zz", "%ff"] {
            assert_eq!(decoded(bad), None, "{bad}");
        }
    }
}
