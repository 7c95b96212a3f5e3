//! [`EngineFault`]: an engine's own words, bounded and on one line, so that a hostile model or input cannot flood a log
//! through the error it provokes.

use std::fmt::{self, Write as _};

const MAX_CHARS: usize = 2_000;

/// What an engine said when it failed: the source of the error that names the operation and its object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineFault {
    text: String,
}

impl EngineFault {
    /// Takes down what `fault` says in its alternate form (for `anyhow` that is the whole chain of causes), cut to 2,000
    /// characters, line breaks and control characters made spaces.
    #[must_use]
    pub fn new(fault: impl fmt::Display) -> Self {
        let mut bounded = Bounded {
            text: String::new(),
            left: MAX_CHARS,
        };
        // An error is how the writer says that it is full.
        if write!(bounded, "{fault:#}").is_err() {
            bounded.text.push('…');
        }
        Self { text: bounded.text }
    }
}

impl fmt::Display for EngineFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for EngineFault {}

struct Bounded {
    text: String,
    left: usize,
}

impl fmt::Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for char in text.chars() {
            self.left = self.left.checked_sub(1).ok_or(fmt::Error)?;
            self.text.push(if char.is_control() { ' ' } else { char });
        }
        Ok(())
    }
}

/// An error and its causes on one line, for where only a text fits.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_cut_and_stay_on_one_line() {
        assert_eq!(EngineFault::new("a\nb\u{1b}c").to_string(), "a b c");
        let long = EngineFault::new("é".repeat(5_000)).to_string();
        assert_eq!(long.chars().count(), MAX_CHARS + 1);
        assert!(long.ends_with('…'));
        assert_eq!(
            EngineFault::new("é".repeat(MAX_CHARS)).to_string().chars().count(),
            MAX_CHARS
        );
    }
}
