//! Writing blobs: into `ingest/` under a lock that lives as long as the writer, and by rename into `blobs/` once whole.
//!
//! A blob is visible only with all its bytes, hashed and on disk. What a killed writer leaves is found by its free lock.

use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use fs_err::os::unix::fs::OpenOptionsExt as _;
use tempfile::NamedTempFile;

use super::{Store, StoreError};
use crate::descriptor::Descriptor;
use crate::digest::{Digest, Hasher};

/// Bytes copied at a time from a file.
const COPY_BUFFER_BYTES: usize = 1 << 20;
/// Committed blobs are never written again, by nobody.
pub(super) const BLOB_MODE: u32 = 0o444;
/// Tags are replaced by their owner, and read by all.
const INDEX_MODE: u32 = 0o644;

/// A blob being written. Dropping it removes what was written.
#[derive(Debug)]
pub struct Ingest {
    store: Store,
    file: NamedTempFile<fs_err::File>,
    hasher: Hasher,
    written: u64,
    limit: u64,
}

impl Ingest {
    /// Appends `bytes`.
    ///
    /// # Errors
    /// When more bytes come than announced, or the file cannot be written ([`StoreError::NoSpace`] when the disk is full).
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        let written = u64::try_from(bytes.len())
            .ok()
            .and_then(|len| self.written.checked_add(len));
        let written = written.filter(|&written| written <= self.limit);
        self.written = written.ok_or(StoreError::Overrun { limit: self.limit })?;
        self.hasher.update(bytes);
        self.file
            .as_file_mut()
            .write_all(bytes)
            .map_err(StoreError::io("write blob"))
    }

    /// Bytes written so far.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Checks size and digest, and makes the blob visible. On disk when this returns.
    ///
    /// # Errors
    /// When the bytes are not those that `expected` describes, or cannot be made durable. Nothing is left behind then.
    pub fn finish(mut self, expected: &Descriptor) -> Result<(), StoreError> {
        if self.written != expected.size {
            return Err(StoreError::SizeMismatch {
                digest: expected.digest,
                expected: expected.size,
                found: self.written,
            });
        }
        let found = std::mem::take(&mut self.hasher).finish();
        if found != expected.digest {
            return Err(StoreError::DigestMismatch {
                digest: expected.digest,
                found,
                path: None,
            });
        }
        self.commit(&found)
    }

    /// Makes the blob visible, whatever it is.
    pub(crate) fn finish_any(mut self, media_type: &str) -> Result<Descriptor, StoreError> {
        let digest = std::mem::take(&mut self.hasher).finish();
        let descriptor = Descriptor::new(media_type, digest, self.written);
        self.commit(&digest)?;
        Ok(descriptor)
    }

    fn commit(self, digest: &Digest) -> Result<(), StoreError> {
        let file = self.file.as_file();
        let mode = std::fs::Permissions::from_mode(BLOB_MODE);
        file.set_permissions(mode).map_err(StoreError::io("protect blob"))?;
        file.sync_all().map_err(StoreError::io("write blob to disk"))?;
        let path = self.store.blob_path(digest);
        self.file
            .persist(&path)
            .map_err(|error| StoreError::io("move blob into place")(error.error))?;
        self.store.sync_folder(path.parent().unwrap_or(&path))
    }
}

impl Store {
    /// Starts a blob of at most `limit` bytes.
    ///
    /// # Errors
    /// When the store is read-only or the file cannot be created.
    pub fn ingest(&self, limit: u64) -> Result<Ingest, StoreError> {
        self.check_writable()?;
        let file = self.locked_file().map_err(StoreError::io("create ingest file"))?;
        Ok(Ingest {
            store: self.clone(),
            file,
            hasher: Hasher::default(),
            written: 0,
            limit,
        })
    }

    /// Stores `bytes`.
    ///
    /// # Errors
    /// When the store is read-only or the file cannot be written.
    pub fn put_bytes(&self, media_type: &str, bytes: &[u8]) -> Result<Descriptor, StoreError> {
        let descriptor = Descriptor::of(media_type, bytes);
        let mut ingest = self.ingest(descriptor.size)?;
        ingest.write(bytes)?;
        ingest.finish(&descriptor)?;
        Ok(descriptor)
    }

    /// Stores the content of a file, of any size in constant memory. `progress` gets the number of bytes of each step.
    ///
    /// # Errors
    /// When the file cannot be read, or the blob not be written.
    pub fn put_file(&self, path: &Path, media_type: &str, progress: &dyn Fn(u64)) -> Result<Descriptor, StoreError> {
        let mut source = fs_err::File::open(path).map_err(StoreError::io("open file to store"))?;
        let mut ingest = self.ingest(u64::MAX)?;
        let mut buffer = vec![0; COPY_BUFFER_BYTES];
        loop {
            let n = source.read(&mut buffer).map_err(StoreError::io("read file to store"))?;
            if n == 0 {
                return ingest.finish_any(media_type);
            }
            ingest.write(buffer.get(..n).unwrap_or_default())?;
            progress(u64::try_from(n).unwrap_or_default());
        }
    }

    /// Puts `bytes` in the place of the file at `path`, whole and on disk, readable by all.
    pub(super) fn replace(&self, path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
        let mut file = self.locked_file().map_err(StoreError::io("create store file"))?;
        file.as_file_mut()
            .write_all(bytes)
            .map_err(StoreError::io("write store file"))?;
        let mode = std::fs::Permissions::from_mode(INDEX_MODE);
        file.as_file()
            .set_permissions(mode)
            .map_err(StoreError::io("open store file to readers"))?;
        file.as_file()
            .sync_all()
            .map_err(StoreError::io("write store file to disk"))?;
        file.persist(path)
            .map_err(|error| StoreError::io("move store file into place")(error.error))?;
        self.sync_folder(path.parent().unwrap_or(path))
    }

    /// A new file in `ingest/` that no sweep removes while it is open.
    pub(super) fn locked_file(&self) -> std::io::Result<NamedTempFile<fs_err::File>> {
        tempfile::Builder::new()
            .prefix("new-")
            .make_in(self.ingest_path(), create_locked)
    }

    /// Removes ingest files whose writer is gone, but not partial blobs, which wait for the next attempt. Best effort: what cannot be removed now is tried at the next open.
    pub(super) fn sweep_ingest(&self) {
        let Ok(entries) = fs_err::read_dir(self.ingest_path()) else {
            return;
        };
        for entry in entries.filter_map(Result::ok) {
            if entry.file_name().to_string_lossy().starts_with(super::partial::PREFIX) {
                continue;
            }
            let path = entry.path();
            let Ok(file) = super::blob::open_plain(&path) else {
                continue;
            };
            if file.file().try_lock().is_ok() && fs_err::remove_file(&path).is_ok() {
                tracing::debug!(path = %path.display(), "removed a stale ingest file");
            }
        }
    }
}

/// Creates a file and locks it. A sweeper may have taken the lock, and the name, in between: then another name is tried.
fn create_locked(path: &Path) -> std::io::Result<fs_err::File> {
    let file = fs_err::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.file().lock()?;
    if file.metadata()?.nlink() == 0 {
        return Err(std::io::ErrorKind::AlreadyExists.into());
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn store() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), true).unwrap();
        (folder, store)
    }

    fn ingest_files(store: &Store) -> usize {
        fs_err::read_dir(store.ingest_path()).unwrap().count()
    }

    #[test]
    fn commits_only_what_was_announced() {
        let (_folder, store) = store();
        let expected = Descriptor::of("a/b", b"content");
        for (bytes, whole) in [(&b"content"[..], true), (b"conten", false), (b"Content", false)] {
            let mut ingest = store.ingest(expected.size).unwrap();
            ingest.write(bytes).unwrap();
            assert_eq!(ingest.finish(&expected).is_ok(), whole);
            assert_eq!(ingest_files(&store), 0);
        }
        let mut ingest = store.ingest(expected.size).unwrap();
        assert!(matches!(
            ingest.write(b"content!"),
            Err(StoreError::Overrun { limit: 7 })
        ));
        drop(ingest);
        assert_eq!(ingest_files(&store), 0);
        let mode = fs_err::metadata(store.blob_path(&expected.digest))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, BLOB_MODE);
    }

    #[test]
    fn sweeps_files_of_dead_writers_only() {
        let (folder, store) = store();
        let live = store.ingest(10).unwrap();
        fs_err::write(store.ingest_path().join("blob-dead"), b"x").unwrap();
        assert_eq!(ingest_files(&store), 2);
        let again = Store::open(folder.path(), false).unwrap();
        assert_eq!(ingest_files(&again), 1);
        live.finish(&Descriptor::of("a/b", b"")).unwrap();
    }
}
