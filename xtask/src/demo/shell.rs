//! Runs `dunlin` and shows what was typed, so that the demo reads like a terminal session.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

use anyhow::{Context as _, Result, ensure};

/// One user's terminal: a working folder and a state folder.
pub(super) struct Shell {
    binary: PathBuf,
    folder: PathBuf,
    data: PathBuf,
    quiet: bool,
}

impl Shell {
    /// A shell in `folder` whose dunlin keeps its state in `data`.
    ///
    /// # Errors
    /// The dunlin binary is not beside this one.
    pub(super) fn new(folder: &Path, data: PathBuf) -> Result<Self> {
        let binary = std::env::current_exe()?.with_file_name("dunlin");
        ensure!(
            binary.exists(),
            "{} is missing: run `scripts/build.sh`",
            binary.display()
        );
        Ok(Self {
            binary,
            folder: folder.to_owned(),
            data,
            quiet: false,
        })
    }

    /// Does not show commands that succeed.
    pub(super) fn quiet(mut self) -> Self {
        self.quiet = true;
        self
    }

    /// Shows commands again.
    pub(super) fn loud(mut self) -> Self {
        self.quiet = false;
        self
    }

    /// The binary that runs.
    pub(super) fn binary(&self) -> &Path {
        &self.binary
    }

    /// The command for `arguments`, with this shell's folders.
    pub(super) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command
            .args(arguments)
            .current_dir(&self.folder)
            .env("DUNLIN_DATA", &self.data)
            // Each machine has its own: what one has accepted, another has not.
            .env("DUNLIN_CACHE", self.data.with_extension("cache"))
            .env_remove("DUNLIN_POLICY");
        command
    }

    /// Shows a command line, with paths of assets shortened to their file names.
    pub(super) fn show(&self, arguments: &[&str]) {
        if self.quiet {
            return;
        }
        let shown: Vec<&str> = arguments
            .iter()
            .map(|argument| match Path::new(argument) {
                path if path.is_absolute() => path.file_name().and_then(|name| name.to_str()).unwrap_or(argument),
                _ => argument,
            })
            .collect();
        println!("  $ dunlin {}", shown.join(" "));
    }

    /// Runs a command that must succeed; its output is indented below it.
    ///
    /// # Errors
    /// The command cannot be started, or fails.
    pub(super) fn dunlin(&self, arguments: &[&str]) -> Result<()> {
        self.show(arguments);
        let output = self.output(arguments)?;
        if !self.quiet || !output.status.success() {
            indent(&output.stdout);
            indent(&output.stderr);
        }
        ensure!(
            output.status.success(),
            "`dunlin {}` failed: {}",
            arguments.join(" "),
            output.status
        );
        Ok(())
    }

    /// Runs a command that must be refused with `code`; its message is shown.
    ///
    /// # Errors
    /// The command succeeds, or fails in another way.
    pub(super) fn refused(&self, arguments: &[&str], code: i32) -> Result<()> {
        self.show(arguments);
        let output = self.output(arguments)?;
        indent(&output.stderr);
        ensure!(
            output.status.code() == Some(code),
            "`dunlin {}` should have been refused with exit code {code}: {}",
            arguments.join(" "),
            output.status
        );
        println!("  (exit code {code})");
        Ok(())
    }

    fn output(&self, arguments: &[&str]) -> Result<Output> {
        self.command(arguments)
            .output()
            .with_context(|| format!("starting {}", self.binary.display()))
    }
}

fn indent(bytes: &[u8]) {
    for line in String::from_utf8_lossy(bytes).lines() {
        println!("    {line}");
    }
}

/// A path as text.
///
/// # Errors
/// The path is no UTF-8.
pub(super) fn text(path: &Path) -> Result<&str> {
    path.to_str().with_context(|| format!("{} is no UTF-8", path.display()))
}
