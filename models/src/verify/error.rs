//! Why the trust policy refuses an artifact.

use crate::digest::Digest;
use crate::reference::Reference;

use super::source::SourceError;

/// The policy's refusal.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// There is no policy, so nothing is trusted.
    #[error("{reference} is refused: there is no trust policy")]
    NoPolicy {
        /// The artifact.
        reference: Reference,
    },
    /// No rule's pattern matches the name.
    #[error("{reference} is refused: no rule of the trust policy matches {name:?}")]
    NoRule {
        /// The artifact.
        reference: Reference,
        /// The name that rules are matched with.
        name: String,
    },
    /// Nothing claims to sign it.
    #[error("{reference} is refused: it has no signature, and rule {rule:?} requires {requirement}")]
    Unsigned {
        /// The artifact.
        reference: Reference,
        /// Its manifest.
        digest: Digest,
        /// The rule that decided.
        rule: String,
        /// What the rule asks for.
        requirement: String,
    },
    /// There are signatures, but not those that the rule asks for.
    #[error("{reference} is refused: its signatures do not satisfy rule {rule:?}, which requires {requirement}")]
    Unsatisfied {
        /// The artifact.
        reference: Reference,
        /// Its manifest.
        digest: Digest,
        /// The rule that decided.
        rule: String,
        /// What the rule asks for.
        requirement: String,
        /// What became of each signature, one line each.
        explanations: Vec<String>,
    },
    /// The signatures could not be listed.
    #[error("{reference} is refused: its signatures cannot be read")]
    Source {
        /// The artifact.
        reference: Reference,
        /// Why not.
        #[source]
        source: SourceError,
    },
    /// The policy says `allowUnsigned: false`.
    #[error("{reference} is refused: the trust policy does not allow unsigned artifacts on request")]
    UnsignedForbidden {
        /// The artifact.
        reference: Reference,
    },
}

impl VerifyError {
    /// What became of each signature, one line each; empty when there was none to look at.
    #[must_use]
    pub fn explain(&self) -> &[String] {
        match self {
            Self::Unsatisfied { explanations, .. } => explanations,
            _ => &[],
        }
    }

    /// One line that tells the user what to do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoPolicy { .. } => {
                Some("give a policy with --policy, or use --allow-unsigned for a trial".to_owned())
            }
            Self::NoRule { name, .. } => Some(format!("add a rule whose `match` covers {name:?}")),
            Self::Unsigned { digest, .. } => Some(format!("sign {digest} with `dunlin sign`, or ask its publisher to")),
            Self::Unsatisfied { .. } => Some("see `dunlin verify` for what became of each signature".to_owned()),
            Self::Source { .. } => None,
            Self::UnsignedForbidden { .. } => Some("the policy's `allowUnsigned` decides this".to_owned()),
        }
    }
}
