//! Why the trust policy refuses an artifact.

use std::path::PathBuf;

use jiff::Timestamp;

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
    /// The rule names the digests that it lets in, and this is not one of them.
    #[error("{reference} is refused: rule {rule:?} does not list {digest}")]
    NotPinned {
        /// The artifact.
        reference: Reference,
        /// Its manifest.
        digest: Digest,
        /// The rule that decided.
        rule: String,
    },
    /// A rule is about artifact types, and nobody has the manifest that says the type.
    #[error("{reference} is refused: rule {rule:?} is about artifact types, and the manifest is not at hand")]
    ManifestUnknown {
        /// The artifact.
        reference: Reference,
        /// Its manifest.
        digest: Digest,
        /// The rule that could not be told to match.
        rule: String,
    },
    /// Something newer was accepted under the same name before.
    #[error(
        "{reference} is refused: it was signed {}, and what was accepted before at {newest}", signed(*.signed_at)
    )]
    Downgrade {
        /// The artifact.
        reference: Reference,
        /// Its manifest.
        digest: Digest,
        /// When it was signed; `None` when nothing says so.
        signed_at: Option<Timestamp>,
        /// The newest time that was accepted under this name.
        newest: Timestamp,
    },
    /// What was accepted before cannot be read.
    #[error("{reference} is refused: {path} does not say what was accepted before")]
    HistoryBroken {
        /// The artifact.
        reference: Reference,
        /// The broken file.
        path: PathBuf,
    },
    /// What was accepted before cannot be read or written.
    #[error("{reference} is refused: the record of what was accepted before cannot be used")]
    History {
        /// The artifact.
        reference: Reference,
        /// Why not.
        #[source]
        source: std::io::Error,
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
            Self::Unsatisfied { .. } => {
                Some("see `dunlin verify --explain` for what became of each signature".to_owned())
            }
            Self::NotPinned { digest, rule, .. } => Some(format!(
                "if it is to be used, add {digest} to `digests` of rule {rule:?}"
            )),
            Self::ManifestUnknown { .. } => Some("pull the artifact into the store first".to_owned()),
            Self::Downgrade { .. } => Some(
                "somebody may be offering an old version; if you want it, name it by digest or allow the downgrade"
                    .to_owned(),
            ),
            Self::HistoryBroken { path, .. } => Some(format!("remove {} to forget what was accepted", path.display())),
            Self::Source { .. } | Self::History { .. } => None,
            Self::UnsignedForbidden { .. } => Some("the policy's `allowUnsigned` decides this".to_owned()),
        }
    }
}

fn signed(at: Option<Timestamp>) -> String {
    at.map_or_else(|| "at no known time".to_owned(), |at| format!("at {at}"))
}
