//! When an artifact was last used: the time of an empty file per manifest, so that processes need no lock to note it.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use super::Store;
use crate::digest::Digest;

/// Uses within this time are one: noting each would write to the disk for nothing.
const RESOLUTION: Duration = Duration::from_secs(60);

impl Store {
    /// Notes that the manifest was used now. Best effort: a store that cannot be written is not touched.
    pub fn mark_used(&self, manifest: &Digest) {
        let now = SystemTime::now();
        let is_recent = self
            .last_used(manifest)
            .is_some_and(|last| now.duration_since(last).is_ok_and(|age| age < RESOLUTION));
        if is_recent || !self.is_writable() {
            return;
        }
        let noted = fs_err::create_dir_all(self.used_path()).and_then(|()| {
            let file = fs_err::File::create(self.used_path().join(manifest.hex()))?;
            file.file().set_modified(now)
        });
        if let Err(error) = noted {
            tracing::debug!(%error, "cannot note the use of an artifact");
        }
    }

    /// When the manifest was last used, if that was ever noted; to the minute.
    #[must_use]
    pub fn last_used(&self, manifest: &Digest) -> Option<SystemTime> {
        let metadata = fs_err::symlink_metadata(self.used_path().join(manifest.hex())).ok()?;
        metadata.modified().ok()
    }

    pub(super) fn used_path(&self) -> PathBuf {
        self.root().join("used")
    }
}
