//! [`Peer`]: somebody else's client, run in a folder of its own, so that it finds no settings of the machine's user.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
};

use tempfile::TempDir;

use crate::{Output, program, tool};

/// A client and its folder.
#[derive(Debug)]
pub struct Peer {
    program: PathBuf,
    folder: TempDir,
}

impl Peer {
    /// A program that `cargo xtask tools` builds, or `None` where it is not built.
    ///
    /// # Panics
    /// As [`tool`].
    #[must_use]
    pub fn built(name: &str, file: &str) -> Option<Self> {
        tool(name, file).map(Self::at)
    }

    /// A program on PATH, or `None` where it is not installed.
    ///
    /// # Panics
    /// As [`program`].
    #[must_use]
    pub fn installed(name: &str) -> Option<Self> {
        program(name).then(|| Self::at(PathBuf::from(name)))
    }

    fn at(program: PathBuf) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        Self { program, folder }
    }

    /// A path in its folder, where it also runs.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file into its folder.
    ///
    /// # Panics
    /// It cannot be written.
    pub fn write(&self, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs_err::write(&path, contents).expect("a file of the test");
        path
    }

    /// The program, not started yet.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env("HOME", self.folder.path())
            .env_remove("DOCKER_CONFIG")
            .stdin(Stdio::null());
        command
    }

    /// Runs it to its end.
    ///
    /// # Panics
    /// It cannot be started.
    #[must_use]
    pub fn run(&self, arguments: &[&str]) -> Output {
        Output::of(&mut self.command(arguments))
    }
}
