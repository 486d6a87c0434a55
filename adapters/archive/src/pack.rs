//! Compressed lines and their seals.

use std::io::{self, Read, Write};

use core_notify::Seal;
use flate2::read::GzDecoder;
use flate2::{Compression, GzBuilder};
use ring::digest::{Context, SHA256, digest};

/// Lines, compressed.
pub(crate) struct Packed {
    pub(crate) bytes: Vec<u8>,
    pub(crate) content_sha256: String,
    rows: u64,
}

impl Packed {
    pub(crate) fn seal(&self, object: String) -> Seal {
        Seal {
            object,
            sha256: hex(digest(&SHA256, &self.bytes).as_ref()),
            bytes: self.bytes.len() as u64,
            content_sha256: self.content_sha256.clone(),
            rows: self.rows,
        }
    }
}

/// The same bytes for the same lines: no name and no time is in the header.
pub(crate) fn pack(lines: &[u8]) -> io::Result<Packed> {
    let mut gzip = GzBuilder::new().write(Vec::new(), Compression::default());
    gzip.write_all(lines)?;
    Ok(Packed {
        bytes: gzip.finish()?,
        content_sha256: hex(digest(&SHA256, lines).as_ref()),
        rows: count(lines),
    })
}

/// The seal of an object as it is.
pub(crate) fn unpack(object: String, bytes: &[u8]) -> io::Result<Seal> {
    let (mut gzip, mut content, mut rows) = (GzDecoder::new(bytes), Context::new(&SHA256), 0);
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match gzip.read(&mut buffer)? {
            0 => break,
            read => {
                content.update(&buffer[..read]);
                rows += count(&buffer[..read]);
            }
        }
    }
    Ok(Seal {
        object,
        sha256: hex(digest(&SHA256, bytes).as_ref()),
        bytes: bytes.len() as u64,
        content_sha256: hex(content.finish().as_ref()),
        rows,
    })
}

fn count(lines: &[u8]) -> u64 {
    lines.iter().filter(|byte| **byte == b'\n').count() as u64
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
