//! Committed blobs: found without following links, hashed as a whole before anybody sees a byte, then mapped.

use std::io::Read;
use std::path::{Path, PathBuf};

use fs_err::os::unix::fs::OpenOptionsExt as _;

use super::map::Map;
use super::{Store, StoreError};
use crate::descriptor::Descriptor;
use crate::digest::{Digest, Hasher};
use crate::manifest::{Document, MAX_DOCUMENT_BYTES};
use crate::verify::Verified;

/// Bytes read at a time when hashing.
const HASH_BUFFER_BYTES: usize = 1 << 20;

/// A blob whose bytes have just been checked against its digest, mapped read-only. Cheap to share behind an `Arc`.
#[derive(Debug)]
pub struct Blob {
    map: Map,
    path: PathBuf,
}

impl Blob {
    /// The file that is mapped.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Size in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.map.bytes().len()
    }

    /// Whether the blob has no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl AsRef<[u8]> for Blob {
    fn as_ref(&self) -> &[u8] {
        self.map.bytes()
    }
}

impl Store {
    /// Whether the store has a file for `digest`. Its content is checked when it is opened, not here.
    #[must_use]
    pub fn contains(&self, digest: &Digest) -> bool {
        self.blob_size(digest).is_some()
    }

    /// Size in bytes of the file kept for `digest`, if there is one.
    #[must_use]
    pub fn blob_size(&self, digest: &Digest) -> Option<u64> {
        let metadata = fs_err::symlink_metadata(self.blob_path(digest)).ok()?;
        metadata.is_file().then_some(metadata.len())
    }

    /// Hashes the whole blob, then maps it.
    ///
    /// The map stays valid while the store replaces or removes the blob. A layout that others maintain
    /// ([`Store::open_layout`]) must not have its files truncated while one of its blobs is open.
    ///
    /// # Errors
    /// When the blob is missing, is not a regular file, or has another size or digest than the descriptor.
    pub fn open_blob(&self, descriptor: &Verified<Descriptor>) -> Result<Blob, StoreError> {
        let (mut file, path) = self.open_sized(descriptor)?;
        let mut hasher = Hasher::default();
        let mut buffer = vec![0; HASH_BUFFER_BYTES];
        let mut rest = (&mut file).take(descriptor.size);
        loop {
            match rest.read(&mut buffer).map_err(StoreError::io("read blob"))? {
                0 => break,
                n => hasher.update(buffer.get(..n).unwrap_or_default()),
            }
        }
        let found = hasher.finish();
        if found != descriptor.digest {
            return Err(StoreError::DigestMismatch {
                digest: descriptor.digest,
                found,
                path: Some(path),
            });
        }
        let map = Map::new(&file, descriptor.size).map_err(StoreError::io("map blob"))?;
        Ok(Blob { map, path })
    }

    /// Reads a manifest, config or signature into memory, checking size and digest.
    ///
    /// # Errors
    /// As [`Store::open_blob`], and when the descriptor claims more than [`MAX_DOCUMENT_BYTES`].
    pub fn read_document(&self, descriptor: &Descriptor) -> Result<Vec<u8>, StoreError> {
        if descriptor.size > MAX_DOCUMENT_BYTES {
            return Err(StoreError::DocumentTooLarge {
                digest: descriptor.digest,
                size: descriptor.size,
            });
        }
        let (file, path) = self.open_sized(descriptor)?;
        let mut bytes = Vec::new();
        file.take(descriptor.size)
            .read_to_end(&mut bytes)
            .map_err(StoreError::io("read document"))?;
        let found = Digest::of(&bytes);
        if found != descriptor.digest {
            return Err(StoreError::DigestMismatch {
                digest: descriptor.digest,
                found,
                path: Some(path),
            });
        }
        Ok(bytes)
    }

    /// Describes the manifest that the store keeps under `digest`.
    ///
    /// # Errors
    /// When there is no such blob, or it is not a manifest.
    pub fn describe(&self, digest: &Digest) -> Result<Descriptor, StoreError> {
        let size = self
            .blob_size(digest)
            .ok_or(StoreError::BlobMissing { digest: *digest })?;
        let mut descriptor = Descriptor::new("", *digest, size);
        let bytes = self.read_document(&descriptor)?;
        let document = Document::parse(&bytes).map_err(|source| StoreError::NotADocument {
            digest: *digest,
            source,
        })?;
        document.media_type().clone_into(&mut descriptor.media_type);
        descriptor.artifact_type = document.artifact_type().map(str::to_owned);
        Ok(descriptor)
    }

    /// Opens a blob's file and checks its size.
    pub(crate) fn open_sized(&self, descriptor: &Descriptor) -> Result<(fs_err::File, PathBuf), StoreError> {
        let path = self.blob_path(&descriptor.digest);
        let file = open_plain(&path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => StoreError::BlobMissing {
                digest: descriptor.digest,
            },
            // Opening a link fails because none is followed.
            _ if path.is_symlink() => StoreError::NotAFile { path: path.clone() },
            _ => StoreError::io("open blob")(error),
        })?;
        let metadata = file.metadata().map_err(StoreError::io("inspect blob"))?;
        if !metadata.is_file() {
            return Err(StoreError::NotAFile { path });
        }
        if metadata.len() != descriptor.size {
            return Err(StoreError::SizeMismatch {
                digest: descriptor.digest,
                expected: descriptor.size,
                found: metadata.len(),
            });
        }
        Ok((file, path))
    }
}

/// Opens a file for reading: no link is followed, and a FIFO in its place does not block.
pub(super) fn open_plain(path: &Path) -> std::io::Result<fs_err::File> {
    fs_err::OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .open(path)
}
