//! Where signatures come from: the store, or a registry's answers held in memory during a pull.

use std::error::Error;

use crate::digest::Digest;

/// Most signatures of one artifact that are looked at; the rest are ignored, which can only deny.
pub const MAX_SIGNATURES: usize = 64;

/// A signature that claims to be of an artifact.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// Digest of the manifest that carries it.
    pub origin: Digest,
    /// The Sigstore bundle, or why it could not be read.
    pub bundle: Result<Vec<u8>, String>,
}

/// Something that knows the signatures of artifacts.
pub trait SignatureSource {
    /// What claims to sign `subject`, at most [`MAX_SIGNATURES`].
    ///
    /// # Errors
    /// When the list itself cannot be read; a single unreadable signature is a candidate that fails.
    fn candidates(&self, subject: &Digest) -> Result<Vec<Candidate>, SourceError>;
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
