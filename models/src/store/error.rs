//! What can go wrong with the content store.

use std::io;
use std::path::PathBuf;

use crate::digest::Digest;
use crate::manifest::{MAX_DOCUMENT_BYTES, ManifestError};

/// A failed operation on the content store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The folder is no image layout.
    #[error("{path} is not a content store")]
    NotAStore {
        /// The folder.
        path: PathBuf,
    },
    /// The layout is of a version that is not read.
    #[error("the layout file {path} is not of image layout version 1.0.0")]
    LayoutVersion {
        /// The `oci-layout` file.
        path: PathBuf,
    },
    /// The store was opened as somebody else's layout.
    #[error("{path} is open read-only")]
    ReadOnly {
        /// The folder.
        path: PathBuf,
    },
    /// A file operation failed; the source names the file.
    #[error("cannot {operation}")]
    Io {
        /// What was being done.
        operation: &'static str,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// The file system is full, or the quota used up.
    #[error("no space left to {operation}")]
    NoSpace {
        /// What was being done.
        operation: &'static str,
        /// Which file.
        #[source]
        source: io::Error,
    },
    /// The file system has no room for what is about to be fetched.
    #[error("{path} has room for {available} bytes, but {needed} more are needed")]
    InsufficientSpace {
        /// The store.
        path: PathBuf,
        /// Bytes still to be written.
        needed: u64,
        /// Bytes left.
        available: u64,
    },
    /// `index.json` is not an index.
    #[error("{path} is not a valid index")]
    BrokenIndex {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: serde_json::Error,
    },
    /// `index.json` is larger than any store needs.
    #[error("{path} has more than {limit} bytes")]
    IndexTooLarge {
        /// The file.
        path: PathBuf,
        /// Most bytes read.
        limit: u64,
    },
    /// No such tag.
    #[error("{reference} is not in the store")]
    UnknownReference {
        /// The name looked for.
        reference: String,
    },
    /// A layout with no entry, or several, was opened without saying which.
    #[error("{path} holds {entries} artifacts where one was expected")]
    NoSingleEntry {
        /// The layout.
        path: PathBuf,
        /// How many there are.
        entries: usize,
    },
    /// Tags are names without a digest.
    #[error("{reference} has no tag to set")]
    NotATag {
        /// The name given.
        reference: String,
    },
    /// No such blob.
    #[error("blob {digest} is not in the store")]
    BlobMissing {
        /// The blob.
        digest: Digest,
    },
    /// Where a blob should be is something that is not a plain file.
    #[error("{path} is not a regular file")]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// The bytes of a blob are not those its name promises: bit rot, or tampering.
    #[error("blob {digest} has the digest {found}")]
    DigestMismatch {
        /// What was expected.
        digest: Digest,
        /// What the bytes hash to.
        found: Digest,
        /// The file, when the blob came from one.
        path: Option<PathBuf>,
    },
    /// A blob has another size than its descriptor says.
    #[error("blob {digest} has {found} bytes instead of {expected}")]
    SizeMismatch {
        /// The blob.
        digest: Digest,
        /// Size in the descriptor.
        expected: u64,
        /// Size found.
        found: u64,
    },
    /// More bytes were written than announced.
    #[error("more than the announced {limit} bytes were written")]
    Overrun {
        /// Bytes announced.
        limit: u64,
    },
    /// A manifest larger than any that is read.
    #[error("manifest {digest} has {size} bytes, more than the {MAX_DOCUMENT_BYTES} allowed")]
    DocumentTooLarge {
        /// The manifest.
        digest: Digest,
        /// Its size in bytes.
        size: u64,
    },
    /// A blob read as a manifest is none.
    #[error("blob {digest} is not a manifest")]
    NotADocument {
        /// The blob.
        digest: Digest,
        /// Why not.
        #[source]
        source: ManifestError,
    },
    /// A structure of ours could not be written as JSON.
    #[error("cannot encode {what}")]
    Encode {
        /// The structure.
        what: &'static str,
        /// Why not.
        #[source]
        source: serde_json::Error,
    },
}

impl StoreError {
    /// Wraps an I/O error of `operation`, setting a full disk apart.
    pub(crate) fn io(operation: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::NoSpace { operation, source },
            _ => Self::Io { operation, source },
        }
    }

    /// One line that tells the user what to do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotAStore { .. } => Some("pull or pack something first, or give the right store folder".to_owned()),
            Self::NoSpace { .. } | Self::InsufficientSpace { .. } => {
                Some("free some space and try again: a pull goes on where it stopped".to_owned())
            }
            Self::UnknownReference { .. } => Some("list what is there with `dunlin ls`, or pull it".to_owned()),
            Self::NoSingleEntry { .. } => Some("name one of its tags".to_owned()),
            Self::NotATag { .. } => Some("give NAME:TAG without a digest".to_owned()),
            Self::BlobMissing { .. } => Some("pull the artifact again".to_owned()),
            Self::DigestMismatch { path: Some(path), .. } => {
                Some(format!("delete {} and pull the artifact again", path.display()))
            }
            Self::ReadOnly { .. } => Some("import the layout into a store first".to_owned()),
            _ => None,
        }
    }
}

/// An error with all its sources in one line, for reports that hold text.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(next) = source {
        text.push_str(": ");
        text.push_str(&next.to_string());
        source = next.source();
    }
    text
}
