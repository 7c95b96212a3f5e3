//! Why no updates were made: [`UpdateError`].

use dunlin_delta::{ChunkError, EncodeError};

use crate::digest::Digest;
use crate::manifest::ManifestError;
use crate::store::StoreError;

/// A failed preparation. The store may have some of the referrers already; they are right, and reused by the next attempt.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UpdateError {
    /// The store does not have one of the versions, or cannot take what is made of them.
    #[error("cannot prepare an update of {digest} in the store")]
    Store {
        /// The manifest or blob at hand.
        digest: Digest,
        /// Why not.
        #[source]
        source: StoreError,
    },
    /// One of the versions is not a manifest or index.
    #[error("{digest} is not the manifest that it is called")]
    NotAManifest {
        /// What it is called.
        digest: Digest,
        /// Why not.
        #[source]
        source: ManifestError,
    },
    /// A blob cannot be compared with its older version.
    #[error("cannot make a delta of {target} from {base}")]
    Delta {
        /// The new blob.
        target: Digest,
        /// The older one.
        base: Digest,
        /// Why not.
        #[source]
        source: EncodeError,
    },
    /// A blob cannot be cut into chunks.
    #[error("cannot list the chunks of {blob}")]
    Chunks {
        /// The blob.
        blob: Digest,
        /// Why not.
        #[source]
        source: ChunkError,
    },
    /// A manifest cannot be written as JSON.
    #[error("cannot write the manifest of an update of {target}")]
    Encode {
        /// The new blob.
        target: Digest,
        /// Why not.
        #[source]
        source: serde_json::Error,
    },
}

impl UpdateError {
    /// One line that tells the user what to do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Store { source, .. } => source.hint(),
            Self::Delta { source, .. } => source.hint(),
            Self::Chunks { source, .. } => source.hint(),
            Self::NotAManifest { .. } | Self::Encode { .. } => None,
        }
    }
}
