//! JSON as people read it.

use serde_json::value::RawValue;

/// A body as text: indented if it is JSON, as it came otherwise. Members keep their order and
/// numbers their digits, which a parsed value would not.
pub(super) fn readable(body: &[u8]) -> String {
    match serde_json::from_slice::<&RawValue>(body) {
        Ok(raw) => indented(raw.get()),
        Err(_) => String::from_utf8_lossy(body).into_owned(),
    }
}

/// What is given is known to be JSON, so only strings and brackets have to be told apart.
fn indented(json: &str) -> String {
    let mut out = String::with_capacity(json.len() * 2);
    let mut depth = 0_usize;
    // In strings these are escaped, so what is left of them only sets values apart.
    let mut chars = json
        .chars()
        .filter(|c| !matches!(c, '\t' | '\n' | '\r'))
        .peekable();
    while let Some(c) = chars.next() {
        match c {
            ' ' => {}
            '"' => {
                out.push(c);
                copy_string(&mut chars, &mut out);
            }
            '{' | '[' => {
                out.push(c);
                while chars.next_if_eq(&' ').is_some() {}
                if let Some(close) = chars.next_if(|next| matches!(next, '}' | ']')) {
                    out.push(close);
                } else {
                    depth += 1;
                    new_line(&mut out, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                new_line(&mut out, depth);
                out.push(c);
            }
            ',' => {
                out.push(c);
                new_line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            c => out.push(c),
        }
    }
    out
}

/// The rest of a string, up to the quote that ends it.
fn copy_string(chars: &mut impl Iterator<Item = char>, out: &mut String) {
    while let Some(c) = chars.next() {
        out.push(c);
        match c {
            '\\' => out.extend(chars.next()),
            '"' => break,
            _ => {}
        }
    }
}

fn new_line(out: &mut String, depth: usize) {
    out.push('\n');
    // Deeper nesting than this is made to be a nuisance.
    out.extend(std::iter::repeat_n("  ", depth.min(20)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_indented_and_nothing_else_is_changed() {
        let body = br#" {"z": 1.50,	"a":[ ],"s":"{\"x\": [1,2]}","n":[1,{"b":{}}]} "#;
        let expected = "{\n  \"z\": 1.50,\n  \"a\": [],\n  \"s\": \"{\\\"x\\\": [1,2]}\",\n  \"n\": [\n    1,\n    {\n      \"b\": {}\n    }\n  ]\n}";
        assert_eq!(readable(body), expected);
    }

    #[test]
    fn what_is_no_json_is_shown_as_it_came() {
        assert_eq!(readable(b"{\"a\": "), "{\"a\": ");
        assert_eq!(readable(b"\xff ok"), "\u{fffd} ok");
    }
}
