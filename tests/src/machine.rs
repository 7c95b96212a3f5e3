//! [`Machine`]: a folder that stands for one user's machine, with a store, a cache and a working folder of its own.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use tempfile::TempDir;

use crate::Output;

/// A machine with nothing on it. Removed when dropped.
#[derive(Debug)]
pub struct Machine {
    folder: TempDir,
}

impl Default for Machine {
    fn default() -> Self {
        Self::new()
    }
}

impl Machine {
    /// An empty machine.
    ///
    /// # Panics
    /// There is no room for temporary files.
    #[must_use]
    pub fn new() -> Self {
        Self {
            folder: TempDir::new().expect("a temporary folder"),
        }
    }

    /// A path in the working folder.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file in the working folder.
    ///
    /// # Panics
    /// It cannot be written.
    pub fn write(&self, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs_err::write(&path, contents).expect("a file of the test");
        path
    }

    /// The content store's folder.
    #[must_use]
    pub fn store(&self) -> PathBuf {
        self.path("data/store")
    }

    /// The file of a blob, by `sha256:<hex>`.
    #[must_use]
    pub fn blob(&self, digest: &str) -> PathBuf {
        self.store()
            .join("blobs/sha256")
            .join(digest.trim_start_matches("sha256:"))
    }

    /// `dunlin` on this machine, not started yet. Everything it reads and writes is in the machine's folder.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.folder.path())
            .env("DUNLIN_DATA", self.path("data"))
            .env("DUNLIN_CACHE", self.path("cache"))
            .env("DUNLIN_POLICY", self.path("policy.yaml"))
            .stdin(Stdio::null());
        if !self.path("policy.yaml").exists() {
            command
                .env_remove("DUNLIN_POLICY")
                .env("XDG_CONFIG_HOME", self.path("config"));
        }
        command
    }

    /// Runs `dunlin` to its end.
    ///
    /// # Panics
    /// It cannot be started.
    #[must_use]
    pub fn dunlin(&self, arguments: &[&str]) -> Output {
        let output = self.command(arguments).output().expect("dunlin starts");
        Output {
            command: format!("dunlin {}", arguments.join(" ")),
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Makes the key pair `<name>.key`, `<name>.pub`.
    ///
    /// # Panics
    /// It fails.
    pub fn key(&self, name: &str) {
        drop(self.dunlin(&["generate-key-pair", "--output-prefix", name]).ok());
    }

    /// Every file of the store with its size, for before-and-after comparisons.
    ///
    /// # Panics
    /// The store cannot be read.
    #[must_use]
    pub fn store_files(&self) -> Vec<(String, u64)> {
        let mut files = Vec::new();
        collect(&self.store(), &self.store(), &mut files);
        files.sort();
        files
    }
}

fn collect(root: &Path, folder: &Path, files: &mut Vec<(String, u64)>) {
    let Ok(entries) = fs_err::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(root, &path, files);
        } else {
            let name = path
                .strip_prefix(root)
                .expect("a file below the root")
                .to_string_lossy()
                .into_owned();
            files.push((name, entry.metadata().map_or(0, |metadata| metadata.len())));
        }
    }
}

/// The built binary: beside the tests' own (`target/<profile>/deps/<test>` -> `target/<profile>/dunlin`).
fn binary() -> PathBuf {
    let test = std::env::current_exe().expect("the test's own path");
    let profile = test.ancestors().nth(2).expect("target/<profile>/deps/<test>");
    let binary = profile.join("dunlin");
    assert!(
        binary.exists(),
        "{} is not built: run `scripts/build.sh`",
        binary.display()
    );
    binary
}
