//! Results on standard output: a JSON document or text for people. The only place that prints results.

use std::io::{self, Write as _};

use serde::Serialize;

use crate::args::OutputFormat;

/// Prints `value` as one JSON document, or `text` for people.
///
/// A closed pipe (`dunlin ls | head -1`) is no failure.
pub(crate) fn result<T: Serialize>(format: OutputFormat, value: &T, text: impl FnOnce(&T) -> String) -> io::Result<()> {
    let printed = match format {
        OutputFormat::Json => serde_json::to_string_pretty(value).map_err(io::Error::other)?,
        OutputFormat::Text => text(value),
    };
    line(&printed)
}

/// Prints one line, or several.
pub(crate) fn line(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    let written = stdout
        .write_all(text.trim_end_matches('\n').as_bytes())
        .and_then(|()| stdout.write_all(b"\n"))
        .and_then(|()| stdout.flush());
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// `text` without characters that would steer a terminal, or make a line of its own.
pub(crate) fn printable(text: &str) -> String {
    let shown = |c: char| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
    text.chars().map(shown).collect()
}

/// Rows of text in columns, the first one being the heading; columns are two spaces apart.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max()
    };
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in rows {
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// A size as people read it: `22.9 MB` (powers of 1000, as registries and disks count).
#[allow(clippy::cast_precision_loss, reason = "three digits are shown")]
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1000.0;
    let mut unit = 0;
    while value >= 999.95 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_as_registries_print_them() {
        let cases = [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (999_949, "999.9 kB"),
            (999_950, "1.0 MB"),
            (22_928_619, "22.9 MB"),
            (u64::MAX, "18446.7 PB"),
        ];
        for (bytes, text) in cases {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn what_is_printed_steers_no_terminal() {
        assert_eq!(printable("caf\u{e9}\u{1b}[31m\n"), "caf\u{e9}\u{fffd}[31m\u{fffd}");
    }

    #[test]
    fn columns_line_up_and_rows_may_be_short() {
        let rows = [vec!["NAME".into(), "SIZE".into()], vec!["demo/embed".into()]];
        assert_eq!(table(&rows), "NAME        SIZE\ndemo/embed\n");
    }
}
