//! Why a pull or push failed.

use crate::artifact::ArtifactError;
use crate::digest::Digest;
use crate::manifest::ManifestError;
use crate::reference::Reference;
use crate::store::StoreError;
use crate::verify::{PinError, VerifyError};

use super::transport::TransportError;

/// A failed pull. The store has no new tag, and no half-written blob.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PullError {
    /// The name has no registry.
    #[error("{reference} names no registry to pull from")]
    NoRegistry {
        /// The name.
        reference: Reference,
    },
    /// The manifest, or one in an index, cannot be had.
    #[error("cannot fetch the manifest {reference}")]
    Manifest {
        /// The manifest.
        reference: Reference,
        /// Why not.
        #[source]
        source: TransportError,
    },
    /// The registry's manifest is not the one that was asked for.
    #[error("the registry's manifest for {reference} has the digest {found} instead of {expected}")]
    WrongManifest {
        /// What was asked for.
        reference: Reference,
        /// The digest asked for, or stated by the registry.
        expected: Digest,
        /// What the bytes hash to.
        found: Digest,
    },
    /// What the registry sent is no manifest.
    #[error("what the registry has as {reference} is not a manifest")]
    NotAManifest {
        /// What was asked for.
        reference: Reference,
        /// Why not.
        #[source]
        source: ManifestError,
    },
    /// The list of signatures cannot be had.
    #[error("cannot fetch the signatures of {reference}")]
    Signatures {
        /// The artifact.
        reference: Reference,
        /// Why not.
        #[source]
        source: TransportError,
    },
    /// The trust policy says no. No layer was fetched.
    #[error("the trust policy does not let {reference} in")]
    Refused {
        /// The artifact.
        reference: Reference,
        /// Why not.
        #[source]
        source: VerifyError,
    },
    /// A manifest in the index is not what the index says.
    #[error("a manifest inside {reference} is not what its index says")]
    Pin {
        /// The index.
        reference: Reference,
        /// In which way.
        #[source]
        source: PinError,
    },
    /// An index inside an index.
    #[error("{reference} contains another index, {entry}")]
    NestedIndex {
        /// The outer index.
        reference: Reference,
        /// The inner one.
        entry: Digest,
    },
    /// More than the caller takes.
    #[error("{reference} has {total} bytes, more than the {limit} allowed")]
    TooLarge {
        /// The artifact.
        reference: Reference,
        /// Bytes of its blobs.
        total: u64,
        /// Bytes allowed.
        limit: u64,
    },
    /// A blob cannot be had.
    #[error("cannot fetch blob {digest}")]
    Blob {
        /// The blob.
        digest: Digest,
        /// Why not.
        #[source]
        source: TransportError,
    },
    /// A blob that was fetched is not the right one, or cannot be kept.
    #[error("cannot keep blob {digest}")]
    Keep {
        /// The blob.
        digest: Digest,
        /// Why not.
        #[source]
        source: StoreError,
    },
    /// A model that the module needs cannot be pulled.
    #[error("cannot pull the model {name:?} ({digest}) that the module links")]
    Link {
        /// The name by which the module opens it.
        name: String,
        /// Its manifest.
        digest: Digest,
        /// Why not.
        #[source]
        source: Box<PullError>,
    },
    /// The module's list of models makes no sense.
    #[error("the list of models in {reference} cannot be used")]
    Links {
        /// The artifact.
        reference: Reference,
        /// Why not.
        #[source]
        source: Box<ArtifactError>,
    },
    /// The store failed otherwise.
    #[error("cannot record {reference} in the store")]
    Store {
        /// The artifact.
        reference: Reference,
        /// Why not.
        #[source]
        source: StoreError,
    },
}

impl PullError {
    /// One line that tells the user what to do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoRegistry { .. } => Some("write HOST/repository:tag".to_owned()),
            Self::Manifest { source, .. } | Self::Signatures { source, .. } | Self::Blob { source, .. } => {
                source.hint()
            }
            Self::Refused { source, .. } => source.hint(),
            Self::Link { source, .. } => source.hint(),
            Self::Links { source, .. } => source.hint(),
            Self::Keep { source, .. } | Self::Store { source, .. } => source.hint(),
            Self::WrongManifest { .. } | Self::Pin { .. } => {
                Some("the registry, or something before it, does not tell the truth; try another one".to_owned())
            }
            Self::TooLarge { .. } | Self::NotAManifest { .. } | Self::NestedIndex { .. } => None,
        }
    }
}

/// A failed push. The remote tag is as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PushError {
    /// The name has no registry.
    #[error("{reference} names no registry to push to")]
    NoRegistry {
        /// The name.
        reference: Reference,
    },
    /// The remote name is pinned to another digest than that of the artifact.
    #[error("{reference} is pinned to another digest than {digest}, which is to be pushed")]
    OtherDigest {
        /// The remote name.
        reference: Reference,
        /// The artifact.
        digest: Digest,
    },
    /// The store does not have the artifact, or not all of it.
    #[error("cannot read {reference} from the store")]
    Store {
        /// The artifact.
        reference: Reference,
        /// Why not.
        #[source]
        source: StoreError,
    },
    /// A part of the artifact is not what its media type says.
    #[error("{digest} in the store is not the manifest that it is called")]
    NotAManifest {
        /// The part.
        digest: Digest,
        /// Why not.
        #[source]
        source: ManifestError,
    },
    /// An index inside an index.
    #[error("the artifact contains an index inside an index, {entry}")]
    NestedIndex {
        /// The inner index.
        entry: Digest,
    },
    /// The registry does not take a blob.
    #[error("cannot push blob {digest}")]
    Blob {
        /// The blob.
        digest: Digest,
        /// Why not.
        #[source]
        source: TransportError,
    },
    /// A blob cannot be read while it is pushed.
    #[error("cannot read blob {digest} to push it")]
    Read {
        /// The blob.
        digest: Digest,
        /// Why not.
        #[source]
        source: StoreError,
    },
    /// The registry does not take a manifest.
    #[error("cannot push manifest {digest}")]
    Manifest {
        /// The manifest.
        digest: Digest,
        /// Why not.
        #[source]
        source: TransportError,
    },
    /// The list of signatures cannot be brought up to date.
    #[error("cannot list the signatures of {subject} at the registry")]
    Referrers {
        /// What they sign.
        subject: Digest,
        /// Why not.
        #[source]
        source: TransportError,
    },
}

impl PushError {
    /// One line that tells the user what to do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoRegistry { .. } => Some("write HOST/repository:tag".to_owned()),
            Self::OtherDigest { .. } => Some("push to a tag".to_owned()),
            Self::Store { source, .. } | Self::Read { source, .. } => source.hint(),
            Self::Blob { source, .. } | Self::Manifest { source, .. } | Self::Referrers { source, .. } => source.hint(),
            Self::NotAManifest { .. } | Self::NestedIndex { .. } => None,
        }
    }
}
