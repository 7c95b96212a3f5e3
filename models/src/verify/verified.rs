//! [`Verified`]: a value that a verdict covers. Only this module makes one: from a verdict, or from a digest that is
//! pinned inside something already verified.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use crate::artifact::ModelLink;
use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::manifest::{Document, Index, Manifest, ManifestError};

/// Why an artifact may be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The policy's rule is satisfied.
    Signed {
        /// The rule that decided.
        rule: String,
        /// Who signed: fingerprints of keys, and `identity (issuer)` of signers without one.
        keys: Vec<String>,
    },
    /// The user asked for it to be used unsigned, and the policy does not forbid that.
    AllowedUnsigned,
    /// The policy is in audit mode: it would have been refused.
    Audited {
        /// Why it would have been refused.
        reason: String,
    },
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signed { rule, keys } => write!(f, "signed (rule {rule:?}, by {})", keys.join(", ")),
            Self::AllowedUnsigned => f.write_str("unsigned, allowed by request"),
            Self::Audited { reason } => write!(f, "would be refused: {reason}"),
        }
    }
}

/// A value that passed the trust policy, or whose digest is pinned inside one that did.
///
/// It says nothing of bytes on disk: [`crate::Store::open_blob`] hashes those.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified<T> {
    value: T,
    verdict: Arc<Verdict>,
}

impl<T> Verified<T> {
    pub(super) fn new(value: T, verdict: Verdict) -> Self {
        Self {
            value,
            verdict: Arc::new(verdict),
        }
    }

    fn derive<U>(&self, value: U) -> Verified<U> {
        Verified {
            value,
            verdict: Arc::clone(&self.verdict),
        }
    }

    /// Why the value may be used.
    #[must_use]
    pub fn verdict(&self) -> &Verdict {
        &self.verdict
    }
}

impl<T> Deref for Verified<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

/// A verified manifest or index.
#[derive(Debug, Clone)]
pub enum VerifiedDocument {
    /// One artifact.
    Manifest(Verified<Manifest>),
    /// Several artifacts.
    Index(Verified<Index>),
}

impl Verified<Descriptor> {
    /// Parses `bytes` as the manifest or index that this descriptor names.
    ///
    /// # Errors
    /// When size or digest differ, or the bytes are no such document.
    pub fn document(&self, bytes: &[u8]) -> Result<VerifiedDocument, PinError> {
        let digest = self.digest;
        let found = Digest::of(bytes);
        let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if found != digest || size != self.size {
            return Err(PinError::Content {
                digest,
                expected: self.size,
                found,
                size,
            });
        }
        let document =
            Document::parse_as(&self.media_type, bytes).map_err(|source| PinError::Document { digest, source })?;
        Ok(match document {
            Document::Manifest(manifest) => VerifiedDocument::Manifest(self.derive(manifest)),
            Document::Index(index) => VerifiedDocument::Index(self.derive(index)),
        })
    }
}

impl Verified<Manifest> {
    /// The config, pinned by this manifest.
    #[must_use]
    pub fn config_blob(&self) -> Verified<Descriptor> {
        self.derive(self.config.clone())
    }

    /// The layers, pinned by this manifest.
    #[must_use]
    pub fn layer_blobs(&self) -> Vec<Verified<Descriptor>> {
        self.layers.iter().map(|layer| self.derive(layer.clone())).collect()
    }

    /// `manifest`, if this manifest's list of models pins its digest.
    #[must_use]
    pub fn linked(&self, manifest: Descriptor) -> Option<Verified<Descriptor>> {
        let links = ModelLink::list(self).ok()?;
        links
            .iter()
            .any(|link| link.digest == manifest.digest)
            .then(|| self.derive(manifest))
    }
}

impl Verified<Index> {
    /// The manifests, pinned by this index.
    #[must_use]
    pub fn manifest_blobs(&self) -> Vec<Verified<Descriptor>> {
        self.manifests
            .iter()
            .map(|manifest| self.derive(manifest.clone()))
            .collect()
    }
}

impl Verified<Descriptor> {
    /// `file`, which was found inside the bytes of this blob after all of them had matched its digest.
    pub(crate) fn containing(&self, file: Descriptor) -> Self {
        self.derive(file)
    }
}

/// Bytes that are not what a verified descriptor names.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PinError {
    /// Other bytes.
    #[error("{digest} has {expected} bytes, but the {size} bytes given have the digest {found}")]
    Content {
        /// What was expected.
        digest: Digest,
        /// Size expected.
        expected: u64,
        /// What the bytes hash to.
        found: Digest,
        /// How many there are.
        size: u64,
    },
    /// The right bytes, but not of a manifest.
    #[error("{digest} is not the manifest that it is called")]
    Document {
        /// The document.
        digest: Digest,
        /// Why not.
        #[source]
        source: ManifestError,
    },
}
