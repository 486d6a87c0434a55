//! Errors as people read them.

use std::error::Error;

/// A boxed error of whatever lies behind a port: kept as the `source` of the port's own error.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// The error and all that lies behind it, in one line. `Display` of our errors never repeats the
/// source, so whoever logs one walks the chain.
#[must_use]
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}
