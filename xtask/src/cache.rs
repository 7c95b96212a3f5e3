//! Where fetched and generated files live: [`Cache`]. Nothing here is deleted behind the user's back.

use std::{
    env,
    path::{Path, PathBuf},
};

/// The cache could not be located.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CacheError {
    /// Neither variable that could name the folder is set.
    #[error("cannot tell where to keep the cache: none of DUNLIN_CACHE, XDG_CACHE_HOME and HOME is set")]
    NoHome,
}

impl CacheError {
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::NoHome => Some("set DUNLIN_CACHE to a folder with 2 GB of room".to_owned()),
        }
    }
}

/// The cache folder and the names of the places in it.
#[derive(Debug, Clone)]
pub(crate) struct Cache {
    root: PathBuf,
}

impl Cache {
    /// `$DUNLIN_CACHE`, else `$XDG_CACHE_HOME/dunlin`, else `$HOME/.cache/dunlin`. Empty and relative
    /// values count as not set, as the XDG specification asks.
    pub(crate) fn locate() -> Result<Self, CacheError> {
        let set = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let root = set("DUNLIN_CACHE")
            .or_else(|| set("XDG_CACHE_HOME").map(|dir| dir.join("dunlin")))
            .or_else(|| set("HOME").map(|dir| dir.join(".cache/dunlin")))
            .ok_or(CacheError::NoHome)?;
        Ok(Self { root })
    }

    #[cfg(test)]
    pub(crate) fn at(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// The folder itself.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// `assets/`, one folder per asset.
    pub(crate) fn assets(&self) -> PathBuf {
        self.root.join("assets")
    }

    /// `fixtures/`, one folder per model.
    pub(crate) fn fixtures(&self) -> PathBuf {
        self.root.join("fixtures")
    }

    /// `tools/`, one folder per tool and version.
    pub(crate) fn tools(&self) -> PathBuf {
        self.root.join("tools")
    }

    /// `guests/`, one file per guest and target.
    pub(crate) fn guests(&self) -> PathBuf {
        self.root.join("guests")
    }

    /// The target folder that all guests share.
    pub(crate) fn guests_target(&self) -> PathBuf {
        self.root.join("guests-target")
    }
}

/// The checkout: what `cargo run` says, else where this program was compiled.
pub(crate) fn repository() -> PathBuf {
    let manifest_dir =
        env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    manifest_dir.parent().unwrap_or(Path::new(".")).to_owned()
}
