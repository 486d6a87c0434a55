//! What commands tell: tables for people, JSON for programs.

use std::io::{ErrorKind, Write};

use anyhow::Context;
use comfy_table::{ColumnConstraint, ContentArrangement};
use console::{Term, style};
use core_kernel::wire_time;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

use crate::Failure;
use crate::cli::Output;

/// A column narrower than this helps nobody; the terminal's own line breaks do better.
const NARROWEST: u16 = 40;

/// Writes a line, or several, to standard output. A reader that has gone (`| head`) is no error: it
/// has what it wanted.
///
/// # Errors
/// When the output cannot be written for another reason.
pub(crate) fn say(text: &str) -> Result<(), Failure> {
    write(format!("{text}\n").as_bytes())
}

/// Writes bytes to standard output, as [`say`] does.
///
/// # Errors
/// Those of [`say`].
pub(crate) fn write(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    let written = stdout.write_all(bytes).and_then(|()| stdout.flush());
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other.context("cannot write the output")?),
    }
}

/// Tells people what is beside the result.
#[expect(clippy::print_stderr, reason = "what is no result is told beside it")]
pub(crate) fn note(text: &str) {
    eprintln!("{text}");
}

#[derive(Serialize)]
struct Listing<T> {
    data: Vec<T>,
}

/// One JSON document, for programs.
///
/// # Errors
/// Those of [`say`].
pub(crate) fn json(what: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string(what).context("no JSON can be made of it")?;
    say(&text)
}

/// A listing: `{"data":[…]}` for programs. `more` tells people how to see the rest.
///
/// # Errors
/// Those of [`say`].
pub(crate) fn listing(
    output: Output,
    head: &[&str],
    rows: Vec<Vec<String>>,
    data: Vec<impl Serialize>,
    more: Option<&str>,
) -> Result<(), Failure> {
    match output {
        Output::Json => json(&Listing { data }),
        Output::Table if rows.is_empty() => {
            note("nothing found");
            Ok(())
        }
        Output::Table => {
            say(&table(head, rows))?;
            if let Some(more) = more {
                note(more);
            }
            Ok(())
        }
    }
}

/// Where a page lies in its list, if that is not the whole list.
pub(crate) fn more(page: u32, limit: u32, shown: usize, total: u64) -> Option<String> {
    (total > shown as u64).then(|| {
        let pages = total.div_ceil(u64::from(limit));
        format!("{shown} of {total}, page {page} of {pages}; see --page and --limit")
    })
}

/// Names and values, one pair a line, for people.
pub(crate) fn facts(pairs: &[(&str, String)]) -> String {
    let width = pairs.iter().map(|(name, _)| name.len()).max();
    let width = width.unwrap_or_default();
    let lines = pairs.iter().filter(|(_, value)| !value.is_empty());
    let lines = lines.map(|(name, value)| {
        let name = format!("{name:width$}");
        format!("{}  {}", style(name).bold(), plain(value))
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Columns as wide as their widest cell. At a terminal, what is too wide for it is broken into lines;
/// the first column stays whole, since it has the ids that people copy.
pub(crate) fn table(head: &[&str], rows: Vec<Vec<String>>) -> String {
    let mut table = comfy_table::Table::new();
    table
        .load_style(comfy_table::presets::NOTHING)
        .set_header(head.iter().copied());
    for row in rows {
        table.add_row(row.iter().map(|cell| plain(cell)));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    if let Some(first) = table.column_mut(0) {
        first.set_constraint(ColumnConstraint::ContentWidth);
    }
    let terminal = Term::stdout();
    if let Some((_, width)) = terminal.size_checked() {
        table
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_width(width.max(NARROWEST));
    }
    let text = table.trim_fmt();
    match text.split_once('\n') {
        Some((head, rows)) => format!("{}\n{rows}", style(head).bold()),
        None => style(text).bold().to_string(),
    }
}

/// What somebody typed must not steer the terminal of who reads it.
fn plain(text: &str) -> String {
    let shown = |c: char| match c {
        '\n' => c,
        c if c.is_control() => '\u{fffd}',
        c => c,
    };
    text.chars().map(shown).collect()
}

/// A time for people: local, in whole seconds, with its zone.
pub(crate) fn when(at: Timestamp) -> String {
    let zone = TimeZone::try_system().unwrap_or(TimeZone::UTC);
    at.to_zoned(zone)
        .strftime("%Y-%m-%d %H:%M:%S %Z")
        .to_string()
}

/// The same for a time that may be absent.
pub(crate) fn when_any(at: Option<Timestamp>) -> String {
    at.map(when).unwrap_or_default()
}

/// A time for programs that may be absent.
pub(crate) fn time_or_null(at: Option<Timestamp>) -> Option<String> {
    at.map(wire_time::format)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_as_wide_as_its_cells_and_has_no_trailing_blanks() {
        let rows = vec![
            vec!["1".to_owned(), "first".to_owned()],
            vec!["22".to_owned(), String::new()],
        ];
        assert_eq!(table(&["ID", "NAME"], rows), "ID  NAME\n1   first\n22");
    }

    #[test]
    fn what_somebody_typed_does_not_steer_the_terminal() {
        let rows = vec![vec!["\u{1b}[31mred".to_owned()]];
        assert_eq!(table(&["NAME"], rows), "NAME\n\u{fffd}[31mred");
    }

    #[test]
    fn a_page_that_is_not_all_tells_where_it_lies() {
        assert_eq!(more(1, 20, 3, 3), None);
        assert_eq!(
            more(2, 20, 20, 41).unwrap(),
            "20 of 41, page 2 of 3; see --page and --limit"
        );
    }
}
