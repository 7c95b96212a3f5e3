//! Leases: what must not be removed although no tag names it. One ends with the process that holds it, another at a
//! given time. A lease whose holder died is void, and known by its free lock.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::{Store, StoreError};
use crate::digest::Digest;

/// Largest lease file that is read: a hundred thousand digests.
const MAX_LEASE_BYTES: u64 = 16 << 20;

/// What a lease file says.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    holder: String,
    digests: Vec<Digest>,
    /// Seconds since 1970; none for leases of a process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<u64>,
}

/// A lease that ends when it is dropped, or with the process.
#[derive(Debug)]
pub struct Lease {
    path: PathBuf,
    _file: fs_err::File,
}

impl Drop for Lease {
    fn drop(&mut self) {
        // What cannot be removed is void as soon as the file is closed.
        let _ = fs_err::remove_file(&self.path);
    }
}

/// A lease as others see it.
#[derive(Debug, Clone)]
pub struct LeaseInfo {
    /// Its file.
    pub path: PathBuf,
    /// Who holds it, in words.
    pub holder: String,
    /// What it keeps: manifests with all that they name, or single blobs.
    pub digests: Vec<Digest>,
    /// When it ends; `None` when it ends with its process.
    pub expires_at: Option<SystemTime>,
    /// Whether it keeps nothing any more: its process is gone, its time is over, or nobody can read it.
    pub is_void: bool,
}

impl Store {
    /// Keeps `digests`, and what they name if they are manifests, until the lease is dropped or the process ends.
    /// `holder` says in words who needs them. The digests need not be in the store yet.
    ///
    /// # Errors
    /// When the store is read-only or cannot be written.
    pub fn lease(&self, holder: &str, digests: &[Digest]) -> Result<Lease, StoreError> {
        let (path, file) = self.write_lease(holder, digests, None)?;
        Ok(Lease { path, _file: file })
    }

    /// The same until `until`, whatever becomes of the process.
    ///
    /// # Errors
    /// As [`Store::lease`].
    pub fn lease_until(&self, holder: &str, digests: &[Digest], until: SystemTime) -> Result<PathBuf, StoreError> {
        let seconds = until.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        Ok(self.write_lease(holder, digests, Some(seconds))?.0)
    }

    /// Ends a lease before its time.
    ///
    /// # Errors
    /// When the file is not a lease of this store, or cannot be removed.
    pub fn release(&self, lease: &Path) -> Result<(), StoreError> {
        if lease.parent() != Some(self.leases_path().as_path()) {
            return Err(StoreError::NotAFile { path: lease.to_owned() });
        }
        fs_err::remove_file(lease).map_err(StoreError::io("remove lease"))
    }

    /// All leases, void ones included.
    ///
    /// # Errors
    /// When the folder cannot be read, or a lease that is held cannot.
    pub fn leases(&self) -> Result<Vec<LeaseInfo>, StoreError> {
        let entries = match fs_err::read_dir(self.leases_path()) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(StoreError::io("list leases")(source)),
        };
        let mut leases = Vec::new();
        for entry in entries {
            let path = entry.map_err(StoreError::io("list leases"))?.path();
            // A lease that has just ended is none.
            if let Some(lease) = self.read_lease(path)? {
                leases.push(lease);
            }
        }
        leases.sort_by(|left, right| left.path.cmp(&right.path));
        Ok(leases)
    }

    fn read_lease(&self, path: PathBuf) -> Result<Option<LeaseInfo>, StoreError> {
        let file = match super::blob::open_plain(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(StoreError::io("open lease")(source)),
        };
        // Shared, so that two readers do not take each other for holders.
        let is_free = file.file().try_lock_shared().is_ok();
        let mut bytes = Vec::new();
        let read = (&file).take(MAX_LEASE_BYTES + 1).read_to_end(&mut bytes);
        read.map_err(StoreError::io("read lease"))?;
        let record = match serde_json::from_slice::<Record>(&bytes) {
            Ok(record) => record,
            // Nobody stands behind it.
            Err(_) if is_free => Record {
                holder: "unreadable".to_owned(),
                digests: Vec::new(),
                expires_at: None,
            },
            Err(source) => return Err(StoreError::BrokenIndex { path, source }),
        };
        let expires_at = record
            .expires_at
            .and_then(|seconds| UNIX_EPOCH.checked_add(Duration::from_secs(seconds)));
        let is_void = match (record.expires_at, expires_at) {
            (Some(_), Some(at)) => at <= SystemTime::now(),
            // A time that no clock reaches.
            (Some(_), None) => false,
            (None, _) => is_free,
        };
        Ok(Some(LeaseInfo {
            path,
            holder: record.holder,
            digests: record.digests,
            expires_at,
            is_void,
        }))
    }

    fn write_lease(
        &self,
        holder: &str,
        digests: &[Digest],
        expires_at: Option<u64>,
    ) -> Result<(PathBuf, fs_err::File), StoreError> {
        let folder = self.leases_path();
        fs_err::create_dir_all(&folder).map_err(StoreError::io("create folder for leases"))?;
        let record = Record {
            holder: holder.to_owned(),
            digests: digests.to_vec(),
            expires_at,
        };
        let bytes = serde_json::to_vec(&record).map_err(|source| StoreError::Encode {
            what: "the lease",
            source,
        })?;
        let _gate = self.share_gate()?;
        let mut file = self.locked_file().map_err(StoreError::io("create lease"))?;
        file.as_file_mut()
            .write_all(&bytes)
            .map_err(StoreError::io("write lease"))?;
        let name = file.path().file_name().unwrap_or_default().to_owned();
        let path = folder.join(name);
        let file = file
            .persist(&path)
            .map_err(|error| StoreError::io("move lease into place")(error.error))?;
        Ok((path, file))
    }

    pub(super) fn leases_path(&self) -> PathBuf {
        self.root().join("leases")
    }
}
