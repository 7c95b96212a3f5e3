//! Why nothing was signed.

use dunlin_sigstore::Refusal;

use crate::key::KeyError;
use crate::store::StoreError;

/// A manifest that could not be signed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignError {
    /// The store failed.
    #[error("cannot read what is to be signed, or keep its signature")]
    Store(#[from] StoreError),
    /// The key failed.
    #[error("cannot sign with this key")]
    Key(#[from] KeyError),
    /// The services of keyless signing failed.
    #[error("cannot sign without a key")]
    Keyless(#[from] dunlin_sigstore::sign::SignError),
    /// What the services signed does not verify; it was not kept.
    #[error("the new signature does not verify against the trusted root")]
    Unverified(#[source] Refusal),
    /// The predicate of an attestation is not what its type says.
    #[error("the predicate is not a {predicate_type}: {reason}")]
    Predicate {
        /// The type.
        predicate_type: String,
        /// What is wrong.
        reason: String,
    },
    /// The bundle is larger than what is read.
    #[error("the signature has {bytes} bytes, more than the {limit} that are read")]
    TooLarge {
        /// Its bytes.
        bytes: usize,
        /// Most bytes.
        limit: u64,
    },
    /// The signature could not be written as JSON.
    #[error("cannot encode the {what}")]
    Encode {
        /// Which part.
        what: &'static str,
        /// Why not.
        #[source]
        source: serde_json::Error,
    },
}

impl SignError {
    /// One line that tells the user what to do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Store(error) => error.hint(),
            Self::Key(error) => error.hint(),
            Self::Keyless(error) => error.hint(),
            Self::Unverified(error) => error.hint(),
            Self::Predicate { .. } => Some("give the predicate itself, without the statement around it".to_owned()),
            Self::TooLarge { .. } => Some("attest a smaller document, or its digest".to_owned()),
            Self::Encode { .. } => None,
        }
    }
}
