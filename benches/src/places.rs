//! Where the binaries, guests, models and peers are, and how to run `dunlin` with a state of its own.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

/// Found places. The state folder goes when it is dropped.
pub(crate) struct Places {
    dunlin: PathBuf,
    cache: PathBuf,
    state: TempDir,
}

impl Places {
    /// Finds everything, or says what to make first.
    pub(crate) fn find() -> Result<Self> {
        let dunlin = std::env::current_exe()?.with_file_name("dunlin");
        ensure!(dunlin.exists(), "{} is missing: run `make bench`", dunlin.display());
        let cache = std::env::var_os("DUNLIN_CACHE").map(PathBuf::from).or_else(|| {
            let home = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
            std::env::var_os("XDG_CACHE_HOME")
                .map(PathBuf::from)
                .or(home)
                .map(|cache| cache.join("dunlin"))
        });
        let cache = cache.context("neither DUNLIN_CACHE, XDG_CACHE_HOME nor HOME is set")?;
        Ok(Self {
            dunlin,
            cache,
            state: TempDir::new()?,
        })
    }

    /// A file of the cache.
    pub(crate) fn cached(&self, path: &str) -> Result<PathBuf> {
        let path = self.cache.join(path);
        ensure!(
            path.exists(),
            "{} is missing: run `cargo xtask assets --all`, `guests` and `fixtures`",
            path.display()
        );
        Ok(path)
    }

    /// The Python of the fixtures' environment.
    pub(crate) fn python(&self) -> Result<PathBuf> {
        let environments = fs_err::read_dir(&self.cache)?.filter_map(|entry| entry.ok().map(|entry| entry.path()));
        environments
            .filter(|path| {
                path.file_name()
                    .is_some_and(|name| name.to_string_lossy().starts_with("venv-"))
            })
            .map(|path| path.join("bin/python"))
            .find(|python| python.exists())
            .context("there is no Python environment: run `cargo xtask venv`")
    }

    /// `dunlin` with the benches' own state.
    pub(crate) fn dunlin(&self) -> Command {
        let mut command = Command::new(&self.dunlin);
        command
            .env("DUNLIN_DATA", self.state.path().join("data"))
            .env("DUNLIN_CACHE", self.state.path().join("cache"))
            .env_remove("DUNLIN_POLICY");
        command
    }

    /// A folder that goes with this.
    pub(crate) fn scratch(&self) -> &Path {
        self.state.path()
    }
}
