//! What the user sees: progress of long work, and failures with causes and hint.
//!
//! [`Progress`] is a bar on a terminal and plain lines elsewhere; both go to stderr.

use std::{error::Error as _, io::IsTerminal as _, time::Duration};

use indicatif::{DecimalBytes, ProgressBar, ProgressStyle};

use crate::failure::Failure;

/// Prints a failure, its chain of causes and its hint on stderr.
pub(crate) fn failure(failure: &Failure) {
    eprintln!("error: {failure}");
    let mut cause = failure.source();
    while let Some(error) = cause {
        eprintln!("  caused by: {error}");
        cause = error.source();
    }
    if let Some(hint) = failure.hint() {
        eprintln!("  hint: {hint}");
    }
}

/// Progress of one piece of work, ended by [`Progress::done`] or by being dropped.
#[derive(Debug)]
pub(crate) struct Progress {
    name: String,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Work of a known number of bytes.
    pub(crate) fn bytes(name: &str, what: &str, total: u64) -> Self {
        let template = "{prefix:<20} {wide_bar} {bytes:>10} of {total_bytes} {eta:>4}";
        Self::start(name, what, ProgressBar::new(total), template)
    }

    /// Work of unknown length.
    pub(crate) fn spinner(name: &str, what: &str) -> Self {
        let bar = ProgressBar::new_spinner().with_message(what.to_owned());
        let progress = Self::start(name, what, bar, "{prefix:<20} {spinner} {msg} {elapsed}");
        if let Some(bar) = &progress.bar {
            bar.enable_steady_tick(Duration::from_millis(120));
        }
        progress
    }

    fn start(name: &str, what: &str, bar: ProgressBar, template: &str) -> Self {
        let terminal = std::io::stderr().is_terminal();
        if !terminal {
            eprintln!("{name:<20} {what}");
        }
        // A template that does not parse would only cost the layout, never the work.
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        Self {
            name: name.to_owned(),
            bar: terminal.then(|| bar.with_style(style).with_prefix(name.to_owned())),
        }
    }

    /// Moves a bar of bytes to `position`.
    pub(crate) fn advance(&self, position: u64) {
        if let Some(bar) = &self.bar {
            bar.set_position(position);
        }
    }

    /// Clears the bar and prints one line about the result.
    pub(crate) fn done(self, result: &str) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        note(&self.name, result);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// One aligned line on stderr.
pub(crate) fn note(name: &str, text: &str) {
    eprintln!("{name:<20} {text}");
}

/// `1536000` as `1.54 MB`.
pub(crate) fn size(bytes: u64) -> String {
    DecimalBytes(bytes).to_string()
}

/// The last line with something on it that a program wrote: where its reason usually stands.
pub(crate) fn last_line(written: &[u8]) -> String {
    let written = String::from_utf8_lossy(written);
    let line = written.lines().rev().find(|line| !line.trim().is_empty());
    line.unwrap_or("it said nothing").trim().to_owned()
}
