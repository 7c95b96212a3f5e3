//! Why a signature is not accepted: [`Refusal`].

use sigstore_verify::bundle::Error as BundleError;
use sigstore_verify::{Error, TimestampError};

use crate::digest::Sha256;
use crate::json::JsonFault;

/// What the checking code said, for the log.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// A signature that is not accepted. Every variant is final: nothing was handed out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Something is larger than any honest one.
    #[error("the {what} is refused unread: {bytes} bytes are more than the {cap} allowed")]
    TooLarge {
        /// Which document.
        what: &'static str,
        /// Its size.
        bytes: usize,
        /// The most allowed.
        cap: usize,
    },
    /// There are more of something than any honest signature has.
    #[error("the {what} is refused: {count} {of} are more than the {cap} allowed")]
    TooMany {
        /// Which document.
        what: &'static str,
        /// What there are too many of.
        of: &'static str,
        /// How many.
        count: usize,
        /// The most allowed.
        cap: usize,
    },
    /// Something cannot be read.
    #[error("cannot read the {what}")]
    Malformed {
        /// Which document.
        what: &'static str,
        /// Why not.
        #[source]
        source: Cause,
    },
    /// The bundle is of a form that is not verified here.
    #[error("the bundle is of a form that is not verified")]
    Unsupported {
        /// Which.
        #[source]
        source: Cause,
    },
    /// The signature is about something else.
    #[error("the signature is not about sha256:{subject}")]
    OtherSubject {
        /// The artifact that was to be verified.
        subject: Sha256,
        /// What does not fit.
        #[source]
        source: Option<Cause>,
    },
    /// The signature does not verify with its key.
    #[error("the signature is wrong")]
    Signature {
        /// How.
        #[source]
        source: Cause,
    },
    /// The certificate is not one that the trusted root stands for at the time of signing.
    #[error("the signer's certificate is not trusted")]
    Certificate {
        /// Why not.
        #[source]
        source: Cause,
    },
    /// The certificate does not say who signed.
    #[error("the signer's certificate names no {missing}")]
    Anonymous {
        /// What is missing.
        missing: &'static str,
    },
    /// No entry of a transparency log proves the signature.
    #[error("the signature is not in a trusted transparency log")]
    Log {
        /// Why not.
        #[source]
        source: Cause,
    },
    /// A log entry occurs twice.
    #[error("the bundle has log entry {index} twice")]
    DuplicateEntry {
        /// Its place in the log.
        index: u64,
    },
    /// Nobody trusted says when the signature was made.
    #[error("no trusted clock says when the signature was made")]
    Time {
        /// Why not.
        #[source]
        source: Cause,
    },
    /// A timestamp that RFC 3161 allows and this version cannot read.
    #[error("a timestamp has fractions of a second, which are not read")]
    FractionalTime {
        /// What the parser said.
        #[source]
        source: Cause,
    },
    /// The caller wants a timestamp authority, and only the log says when.
    #[error("no timestamp authority says when the signature was made")]
    NoAuthorityTime,
    /// There is no evidence beside the signature.
    #[error("the {what} has neither a log entry nor a timestamp")]
    NoEvidence {
        /// Which.
        what: &'static str,
    },
    /// The signed statement is of an unknown type.
    #[error("the signed statement is of type {found:?}")]
    StatementType {
        /// Its type.
        found: String,
    },
    /// An annotation that the signature needs is missing.
    #[error("the legacy signature has no annotation {name}")]
    MissingAnnotation {
        /// Its name.
        name: &'static str,
    },
    /// The verifying code panicked; the signature is refused and the process goes on.
    #[error("the {what} broke the verifier")]
    Broken {
        /// What was being verified.
        what: &'static str,
    },
}

impl Refusal {
    /// One line that tells the user what to do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::OtherSubject { .. } => "the signature was made for another artifact: sign this one",
            Self::Certificate { .. } | Self::Log { .. } | Self::Time { .. } => {
                "compare the trusted root with the Sigstore instance that the signer used; is it up to date?"
            }
            Self::FractionalTime { .. } => "sign again with a timestamp authority that answers in whole seconds",
            Self::NoAuthorityTime => "sign with a timestamp authority, or let the policy accept the log's time",
            Self::NoEvidence { .. } => "a key alone is verified without a trusted root",
            Self::Broken { .. } => "report this signature to the maintainers: it shows a defect",
            _ => return None,
        };
        Some(hint.to_owned())
    }

    pub(crate) fn malformed(what: &'static str, source: impl std::fmt::Display) -> Self {
        Self::Malformed {
            what,
            source: cause(source),
        }
    }

    pub(crate) fn unread(what: &'static str, fault: JsonFault) -> Self {
        match fault {
            JsonFault::TooLarge { bytes, cap } => Self::TooLarge { what, bytes, cap },
            fault => Self::malformed(what, fault),
        }
    }

    /// The dependency's verdict on a signature about `subject`. `fractional` says that a token has fractions of a second.
    pub(crate) fn from_verdict(error: Error, subject: Sha256, fractional: bool) -> Self {
        let source = cause;
        match error {
            Error::SignatureInvalid(_) => Self::Signature { source: source(error) },
            Error::ArtifactMismatch(_) => Self::OtherSubject {
                subject,
                source: Some(source(error)),
            },
            Error::Certificate(_) | Error::InvalidTrustRoot(_) => Self::Certificate { source: source(error) },
            Error::TransparencyLog(_)
            | Error::Bundle(
                BundleError::MissingInclusionProof(_)
                | BundleError::MissingInclusionPromise(_)
                | BundleError::MissingSigningTimeEvidence
                | BundleError::MissingCheckpoint
                | BundleError::LogIndexOutOfRange { .. }
                | BundleError::CheckpointRootMismatch,
            ) => Self::Log { source: source(error) },
            Error::Timestamp(TimestampError::Invalid(_)) if fractional => {
                Self::FractionalTime { source: source(error) }
            }
            Error::Timestamp(_) => Self::Time { source: source(error) },
            Error::UnsupportedBundle(_) | Error::UnsupportedArtifact(_) | Error::Bundle(_) => {
                Self::Unsupported { source: source(error) }
            }
            error => Self::malformed("bundle", source(error)),
        }
    }
}

/// What the dependency said, as text: its errors repeat their own sources, and their types are not ours to hand out.
pub(crate) fn cause(error: impl std::fmt::Display) -> Cause {
    error.to_string().into()
}
