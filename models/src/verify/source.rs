//! Where signatures come from: the store, or a registry's answers held in memory during a pull.

use std::error::Error;

use crate::descriptor::Annotations;
use crate::digest::Digest;

use super::history::TrustHistory;

/// Most signatures and attestations of one artifact that are looked at; the rest are ignored, which can only deny.
pub const MAX_SIGNATURES: usize = 64;
/// Most bytes of all of them together.
pub const MAX_SIGNATURE_BYTES: u64 = 16 << 20;

/// A signature or attestation that claims to be of an artifact.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// Digest of the manifest that carries it.
    pub origin: Digest,
    /// What it is, or why it could not be read.
    pub signature: Result<SignatureForm, String>,
}

/// The forms in which signatures lie beside artifacts. Nothing in them is proven.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SignatureForm {
    /// A Sigstore bundle in a referrer: what cosign 3 writes, for signatures and attestations alike.
    Bundle(Vec<u8>),
    /// A layer of cosign's legacy tag `sha256-<hex>.sig`.
    SimpleSigning {
        /// The layer's bytes.
        payload: Vec<u8>,
        /// The signature over them, in base64.
        signature: String,
        /// The annotations of the layer.
        annotations: Annotations,
    },
    /// A layer of cosign's legacy tag `sha256-<hex>.att`: a DSSE envelope without evidence.
    Envelope(Vec<u8>),
}

impl SignatureForm {
    /// The form in words.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Bundle(_) => "sigstore bundle",
            Self::SimpleSigning { .. } => "legacy signature",
            Self::Envelope(_) => "legacy attestation",
        }
    }
}

impl Candidate {
    /// A bundle that was found in the manifest `origin`.
    #[must_use]
    pub fn bundle(origin: Digest, bundle: Vec<u8>) -> Self {
        Self {
            origin,
            signature: Ok(SignatureForm::Bundle(bundle)),
        }
    }

    /// A signature that could not be read.
    #[must_use]
    pub fn unreadable(origin: Digest, reason: String) -> Self {
        Self {
            origin,
            signature: Err(reason),
        }
    }
}

/// Something that knows the signatures of artifacts.
pub trait SignatureSource {
    /// What claims to sign `subject`, at most [`MAX_SIGNATURES`].
    ///
    /// # Errors
    /// When the list itself cannot be read; a single unreadable signature is a candidate that fails.
    fn candidates(&self, subject: &Digest) -> Result<Vec<Candidate>, SourceError>;

    /// The bytes of the manifest `subject`, if they are at hand. They are checked against the digest before they are used:
    /// for signatures over the manifest itself, for model signing, and for rules about artifact types.
    fn manifest(&self, _subject: &Digest) -> Option<Vec<u8>> {
        None
    }

    /// Where accepted signing times are kept, if anywhere; see [`TrustHistory`].
    fn history(&self) -> Option<TrustHistory> {
        None
    }
}

/// Signatures could not be listed.
#[derive(Debug, thiserror::Error)]
#[error("cannot list the signatures of {subject}")]
pub struct SourceError {
    subject: Digest,
    #[source]
    source: Box<dyn Error + Send + Sync>,
}

impl SourceError {
    /// Wraps why the signatures of `subject` cannot be listed.
    pub fn new(subject: &Digest, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            subject: *subject,
            source: source.into(),
        }
    }
}
