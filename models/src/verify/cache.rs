//! Verdicts that need not be found again: one small file for each artifact, name and policy. Only acceptances are kept, for
//! as long as the policy's freshness lets them live; what is not exactly as this module wrote it is as good as absent.

use std::io::{Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use fs_err::os::unix::fs::OpenOptionsExt as _;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::decide::Accepted;
use crate::digest::Digest;

/// Largest verdict that is read.
const MAX_VERDICT_BYTES: u64 = 16 << 10;
/// Most verdicts that are kept; then the older half goes.
const MAX_VERDICTS: usize = 4_096;
/// What found the verdicts: another version judges anew.
const VERIFIER: &str = concat!(env!("CARGO_PKG_VERSION"), "/1");

/// A folder of verdicts, private to its owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct VerdictCache {
    folder: PathBuf,
}

/// What a verdict is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CacheKey {
    verifier: String,
    digest: Digest,
    reference: String,
    policy: Digest,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Entry {
    about: CacheKey,
    rule: String,
    names: Vec<String>,
    signed_at: Option<Timestamp>,
    expires_at: Option<Timestamp>,
}

impl CacheKey {
    pub(super) fn new(digest: Digest, reference: String, policy: Digest) -> Self {
        Self {
            verifier: VERIFIER.to_owned(),
            digest,
            reference,
            policy,
        }
    }

    fn file(&self) -> String {
        let text = format!(
            "{}\n{}\n{}\n{}",
            self.verifier, self.digest, self.policy, self.reference
        );
        format!("{}.json", Digest::of(text.as_bytes()).hex())
    }
}

impl VerdictCache {
    pub(super) fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
        }
    }

    /// The acceptance of `key`, if it is known and not too old.
    pub(super) fn get(&self, key: &CacheKey, now: Timestamp) -> Option<Accepted> {
        let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
        let file = fs_err::OpenOptions::new()
            .read(true)
            .custom_flags(i32::try_from(flags.bits()).ok()?)
            .open(self.folder.join(key.file()))
            .ok()?;
        let metadata = file.metadata().ok()?;
        let own = metadata.uid() == rustix::process::geteuid().as_raw() && metadata.mode() & 0o077 == 0;
        if !metadata.is_file() || !own || metadata.len() > MAX_VERDICT_BYTES {
            return None;
        }
        let mut bytes = Vec::new();
        file.take(MAX_VERDICT_BYTES).read_to_end(&mut bytes).ok()?;
        let entry: Entry = serde_json::from_slice(&bytes).ok()?;
        let is_live = entry.expires_at.is_none_or(|end| now < end);
        (entry.about == *key && is_live).then_some(Accepted {
            rule: entry.rule,
            names: entry.names,
            signed_at: entry.signed_at,
            expires_at: entry.expires_at,
        })
    }

    /// Keeps an acceptance. A cache that cannot be written only costs time.
    pub(super) fn put(&self, key: &CacheKey, accepted: &Accepted) {
        if let Err(error) = self.write(key, accepted) {
            tracing::debug!(folder = %self.folder.display(), %error, "cannot keep the verdict");
        }
    }

    fn write(&self, key: &CacheKey, accepted: &Accepted) -> std::io::Result<()> {
        let entry = Entry {
            about: key.clone(),
            rule: accepted.rule.clone(),
            names: accepted.names.clone(),
            signed_at: accepted.signed_at,
            expires_at: accepted.expires_at,
        };
        if !self.folder.exists() {
            fs_err::create_dir_all(&self.folder)?;
            fs_err::set_permissions(&self.folder, std::fs::Permissions::from_mode(0o700))?;
        }
        self.make_room()?;
        // Temporary files are for their owner alone from the start.
        let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
        file.write_all(&serde_json::to_vec(&entry)?)?;
        file.persist(self.folder.join(key.file()))
            .map_err(|error| error.error)?;
        Ok(())
    }

    fn make_room(&self) -> std::io::Result<()> {
        let mut files = Vec::new();
        for entry in fs_err::read_dir(&self.folder)? {
            files.push(entry?.path());
        }
        if files.len() < MAX_VERDICTS {
            return Ok(());
        }
        let age = |path: &PathBuf| {
            fs_err::symlink_metadata(path)
                .and_then(|metadata| metadata.modified())
                .ok()
        };
        files.sort_by_cached_key(age);
        for path in files.iter().take(MAX_VERDICTS / 2) {
            // Another process may have removed it.
            let _ = fs_err::remove_file(path);
        }
        Ok(())
    }
}
