//! [`CacheDir`]: the folder of one engine's compiled code, and who may own what lies in it. Whoever can write a file here
//! runs machine code in this process, so owner and mode are checked for the folder and for every file.

use std::{
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use fs_err::os::unix::fs::OpenOptionsExt as _;
use rustix::fs::OFlags;

use crate::engine::EngineError;

const PRIVATE: u32 = 0o700;
/// Write permission of group and others.
const WRITABLE_BY_OTHERS: u32 = 0o022;

/// `<cache_dir>/<fingerprint>`, owned by this user and writable by nobody else.
pub(super) struct CacheDir {
    path: PathBuf,
}

impl CacheDir {
    pub(super) fn open(cache_dir: &Path, fingerprint: &str) -> Result<Self, EngineError> {
        let path = cache_dir.join(fingerprint);
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(PRIVATE)
            .create(&path)
            .map_err(|source| EngineError::CacheDir {
                path: path.clone(),
                source,
            })?;
        check_private(cache_dir)?;
        check_private(&path)?;
        Ok(Self { path })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn code_path(&self, digest: &str) -> PathBuf {
        self.path.join(format!("{digest}.cwasm"))
    }

    /// Holds the SHA-256 of the code file, in hex: what was written, so that rot and truncation are seen.
    pub(super) fn sum_path(&self, digest: &str) -> PathBuf {
        self.path.join(format!("{digest}.cwasm.sha256"))
    }

    /// Opens a file of ours for reading. `Ok(None)` when there is none; an error when it is not ours alone.
    pub(super) fn open_ours(path: &Path) -> std::io::Result<Option<fs_err::File>> {
        let no_follow = i32::try_from(OFlags::NOFOLLOW.bits()).unwrap_or(0);
        let file = match fs_err::OpenOptions::new().read(true).custom_flags(no_follow).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let meta = file.metadata()?;
        if !meta.is_file() || !is_private(&meta) {
            return Err(std::io::Error::new(
                std::io::ErrorKind::PermissionDenied,
                format!(
                    "not a file of ours alone: owner {}, mode {:o}",
                    meta.uid(),
                    meta.permissions().mode()
                ),
            ));
        }
        Ok(Some(file))
    }
}

fn check_private(path: &Path) -> Result<(), EngineError> {
    let meta = fs_err::metadata(path).map_err(|source| EngineError::CacheDir {
        path: path.to_owned(),
        source,
    })?;
    if is_private(&meta) {
        return Ok(());
    }
    Err(EngineError::CacheDirNotPrivate {
        path: path.to_owned(),
        owner: meta.uid(),
        mode: meta.permissions().mode() & 0o7777,
    })
}

fn is_private(meta: &std::fs::Metadata) -> bool {
    meta.uid() == rustix::process::geteuid().as_raw() && meta.permissions().mode() & WRITABLE_BY_OTHERS == 0
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::fs::Permissions;

    use super::*;

    #[test]
    fn a_missing_folder_is_made_private() {
        let temp = tempfile::tempdir().unwrap();
        let dir = CacheDir::open(&temp.path().join("a/b"), "f").unwrap();
        assert_eq!(
            fs_err::metadata(dir.path()).unwrap().permissions().mode() & 0o777,
            0o700
        );
    }

    #[test]
    fn a_folder_that_others_may_write_to_is_refused() {
        let temp = tempfile::tempdir().unwrap();
        fs_err::set_permissions(temp.path(), Permissions::from_mode(0o777)).unwrap();
        let refused = CacheDir::open(temp.path(), "f");
        assert!(matches!(
            refused,
            Err(EngineError::CacheDirNotPrivate { mode: 0o777, .. })
        ));
    }

    #[test]
    fn links_and_files_that_others_may_write_to_are_not_opened() {
        let temp = tempfile::tempdir().unwrap();
        let (file, link) = (temp.path().join("file"), temp.path().join("link"));
        fs_err::write(&file, b"x").unwrap();
        fs_err::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
        assert!(CacheDir::open_ours(&file).unwrap().is_some());
        fs_err::os::unix::fs::symlink(&file, &link).unwrap();
        assert!(CacheDir::open_ours(&link).is_err());
        fs_err::set_permissions(&file, Permissions::from_mode(0o666)).unwrap();
        assert!(CacheDir::open_ours(&file).is_err());
        assert!(CacheDir::open_ours(&temp.path().join("none")).unwrap().is_none());
    }
}
