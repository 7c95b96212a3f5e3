//! What a run of `dunlin` gave, with assertions that show all of it when they fail.

use std::process::{Command, Stdio};

use serde_json::Value;

/// Exit code and output of one run.
#[derive(Debug, Clone)]
pub struct Output {
    /// The command line.
    pub command: String,
    /// The exit code; -1 when a signal ended it.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Output {
    /// Runs a program to its end, without input.
    ///
    /// # Panics
    /// It cannot be started.
    pub fn of(command: &mut Command) -> Self {
        let words: Vec<_> = std::iter::once(command.get_program())
            .chain(command.get_args())
            .map(|word| word.to_string_lossy().into_owned())
            .collect();
        let line = words.join(" ");
        let output = command.stdin(Stdio::null()).output();
        let output = output.unwrap_or_else(|error| panic!("{line}: {error}"));
        Self {
            command: line,
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Asserts success.
    ///
    /// # Panics
    /// It failed.
    #[must_use]
    pub fn ok(self) -> Self {
        self.exits(0)
    }

    /// Asserts an exit code.
    ///
    /// # Panics
    /// It ended otherwise.
    #[must_use]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:#?}");
        self
    }

    /// Asserts that standard error says `text`.
    ///
    /// # Panics
    /// It does not.
    pub fn says(&self, text: &str) -> &Self {
        assert!(
            self.stderr.contains(text),
            "`{text}` is not in the messages of {self:#?}"
        );
        self
    }

    /// Asserts that nothing looks like a crash.
    ///
    /// # Panics
    /// A panic message, or an end by a signal.
    pub fn did_not_crash(&self) -> &Self {
        assert!(
            self.code >= 0 && !self.stderr.contains("panicked at"),
            "a crash: {self:#?}"
        );
        self
    }

    /// Standard output as JSON.
    ///
    /// # Panics
    /// It is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }
}
