//! [`CacheDir`]: the folder of one engine's compiled code. Whoever can write a file here runs machine code in this
//! process, so its owner and mode are checked.

use std::{
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use super::super::owned;
use crate::engine::EngineError;

const PRIVATE: u32 = 0o700;

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
}

fn check_private(path: &Path) -> Result<(), EngineError> {
    let meta = fs_err::metadata(path).map_err(|source| EngineError::CacheDir {
        path: path.to_owned(),
        source,
    })?;
    if owned::is_private(&meta) {
        return Ok(());
    }
    Err(EngineError::CacheDirNotPrivate {
        path: path.to_owned(),
        owner: meta.uid(),
        mode: meta.permissions().mode() & 0o7777,
    })
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
}
