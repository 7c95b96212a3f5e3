//! The trusted root: which authorities and logs are believed, prepared once for any number of verifications.

use std::fmt;

use sigstore_verify::Verifier;
use sigstore_verify::crypto::Keyring;
use sigstore_verify::trust_root::{SigstoreInstance, TrustedRoot};

use crate::digest::Sha256;
use crate::fence::fenced;
use crate::json::{JsonFault, admit};
use crate::limits::{AUTHORITIES, CERTIFICATES, CONFIGURATION_BYTES, JSON_DEPTH};
use crate::refusal::{Cause, cause};

const MEDIA_TYPES: [&str; 2] = [
    "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
    "application/vnd.dev.sigstore.trustedroot.v0.2+json",
];

/// A `trusted_root.json`, read and checked. Cheap to use, costly (some tens of microseconds) to make.
pub struct TrustRoot {
    verifier: Verifier,
    logs: Keyring,
    hash: Sha256,
}

impl TrustRoot {
    /// Reads a `trusted_root.json`.
    ///
    /// # Errors
    /// When it is too large or too deep, not a trusted root, or holds a key or certificate that cannot be used.
    pub fn from_json(bytes: &[u8]) -> Result<Self, RootError> {
        let text = admit(bytes, CONFIGURATION_BYTES, JSON_DEPTH).map_err(|fault| match fault {
            JsonFault::TooLarge { bytes, cap } => RootError::TooLarge { bytes, cap },
            fault => RootError::Malformed { source: cause(fault) },
        })?;
        fenced(|| Self::read(text)).map_err(|_| RootError::Broken)?
    }

    /// The root of the public Sigstore instance, as of this version of the program: a snapshot that goes stale.
    ///
    /// # Errors
    /// As [`from_json`](Self::from_json); a test holds that there are none.
    pub fn public_good() -> Result<Self, RootError> {
        Self::from_json(SigstoreInstance::PublicGood.embedded_trusted_root_json().as_bytes())
    }

    fn read(text: &str) -> Result<Self, RootError> {
        let malformed = |source: Cause| RootError::Malformed { source };
        let root = TrustedRoot::from_json(text).map_err(|error| malformed(cause(error)))?;
        if !MEDIA_TYPES.contains(&root.media_type.as_str()) {
            return Err(RootError::MediaType {
                found: root.media_type.chars().take(128).collect(),
            });
        }
        check_counts(&root)?;
        let unusable = |source: Cause| RootError::Unusable { source };
        let verifier = Verifier::new(&root).map_err(|error| unusable(cause(error)))?;
        // What was understood, not what was written: order of fields, white space and unknown fields change nothing.
        let canonical = serde_json::to_vec(&root).map_err(|error| malformed(cause(error)))?;
        Ok(Self {
            verifier,
            logs: root.rekor_keys().map_err(|error| unusable(cause(error)))?,
            hash: Sha256::of(&canonical),
        })
    }

    /// A hash over everything that is trusted: equal for roots that differ only in how they are written.
    #[must_use]
    pub fn hash(&self) -> &Sha256 {
        &self.hash
    }

    /// The keys of the transparency logs.
    pub(crate) fn logs(&self) -> &Keyring {
        &self.logs
    }

    pub(crate) fn verifier(&self) -> &Verifier {
        &self.verifier
    }
}

impl fmt::Debug for TrustRoot {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("TrustRoot")
            .field("hash", &self.hash)
            .finish_non_exhaustive()
    }
}

fn check_counts(root: &TrustedRoot) -> Result<(), RootError> {
    let check = |of, count, cap| {
        if count > cap {
            Err(RootError::TooMany { of, count, cap })
        } else {
            Ok(())
        }
    };
    check("transparency logs", root.tlogs.len(), AUTHORITIES)?;
    check("CT logs", root.ctlogs.len(), AUTHORITIES)?;
    check(
        "certificate authorities",
        root.certificate_authorities.len(),
        AUTHORITIES,
    )?;
    check("timestamp authorities", root.timestamp_authorities.len(), AUTHORITIES)?;
    let signers = root
        .certificate_authorities
        .iter()
        .map(|authority| &authority.cert_chain);
    let stamps = root.timestamp_authorities.iter().map(|authority| &authority.cert_chain);
    for chain in signers.chain(stamps) {
        check("certificates of one authority", chain.certificates.len(), CERTIFICATES)?;
    }
    Ok(())
}

/// A trusted root that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RootError {
    /// It is larger than any honest one.
    #[error("the trusted root has {bytes} bytes, more than the {cap} allowed")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The most allowed.
        cap: usize,
    },
    /// It names more of something than any honest one.
    #[error("the trusted root has {count} {of}, more than the {cap} allowed")]
    TooMany {
        /// What there are too many of.
        of: &'static str,
        /// How many.
        count: usize,
        /// The most allowed.
        cap: usize,
    },
    /// It is not a trusted root.
    #[error("cannot read the trusted root")]
    Malformed {
        /// Why not.
        #[source]
        source: Cause,
    },
    /// It is another document, or of another version.
    #[error("the trusted root has the media type {found:?}")]
    MediaType {
        /// What it says it is.
        found: String,
    },
    /// One of its keys, certificates or validity windows cannot be used.
    #[error("the trusted root cannot be used")]
    Unusable {
        /// Why not.
        #[source]
        source: Cause,
    },
    /// The reading code panicked.
    #[error("the trusted root broke the verifier")]
    Broken,
}

impl RootError {
    /// One line that tells the user what to do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::MediaType { .. } | Self::Malformed { .. } => Some(
                "give the instance's trusted_root.json (`cosign trusted-root create`, or target of its TUF repository)"
                    .to_owned(),
            ),
            Self::Broken => Some("report this file to the maintainers: it shows a defect".to_owned()),
            Self::TooLarge { .. } | Self::TooMany { .. } | Self::Unusable { .. } => None,
        }
    }
}
