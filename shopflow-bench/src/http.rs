//! The least that is an HTTP client: requests made beforehand, answers read by their length. Whoever
//! measures shares the cores with what is measured, so a client that costs little tells more.

use std::io;

/// Where the answer's head ends and how long its body is.
struct Head {
    status: u16,
    length: usize,
}

/// What has been read of an answer.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    bytes: Vec<u8>,
}

impl Answer {
    /// Room for what comes next on the wire; forgets the answer before, if that was whole.
    pub(crate) fn begin(&mut self) {
        self.bytes.clear();
    }

    /// Takes in what was read. The status, once the answer is whole.
    ///
    /// # Errors
    /// When it is none, or has no length: every answer of ours has one.
    pub(crate) fn take(&mut self, read: &[u8]) -> io::Result<Option<u16>> {
        if read.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.bytes.extend_from_slice(read);
        let Some(end) = end_of_head(&self.bytes) else {
            return Ok(None);
        };
        let head = read_head(&self.bytes[..end])?;
        Ok((self.bytes.len() >= end + head.length).then_some(head.status))
    }

    /// The body of a whole answer.
    pub(crate) fn body(&self) -> &[u8] {
        end_of_head(&self.bytes).map_or(&[], |end| &self.bytes[end..])
    }
}

fn end_of_head(bytes: &[u8]) -> Option<usize> {
    let found = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    Some(found + 4)
}

fn read_head(head: &[u8]) -> io::Result<Head> {
    let bad = || io::Error::new(io::ErrorKind::InvalidData, "no answer with a length");
    let text = std::str::from_utf8(head).map_err(|_| bad())?;
    let status = text.get(9..12).and_then(|code| code.parse().ok());
    let length = text.split("\r\n").find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse().ok())?
    });
    Ok(Head {
        status: status.ok_or_else(bad)?,
        length: length.ok_or_else(bad)?,
    })
}

/// A request as it goes over the wire.
pub(crate) fn request(method: &str, path: &str, token: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}
