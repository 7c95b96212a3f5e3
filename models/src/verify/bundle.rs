//! Sigstore bundles (v0.3) made with a plain key, with or without a transparency log entry.
//!
//! The log entry of such a bundle proves when, not who; key rules do not ask for it. Bundles with a certificate are
//! recognised and refused here: they belong to keyless rules.

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use super::dsse::Envelope;
use super::statement::Statement;
use crate::digest::Digest;
use crate::key::PublicKey;
use crate::media_type;

/// Largest signature bundle that is read, in bytes: twenty times what a keyless one with all its proofs has.
pub const MAX_BUNDLE_BYTES: u64 = 256 << 10;
const MAX_BUNDLE_LEN: usize = 256 << 10;

/// The JSON form of a bundle that this crate writes.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct KeyBundle {
    media_type: &'static str,
    verification_material: KeyMaterial,
    dsse_envelope: Envelope,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct KeyMaterial {
    public_key: KeyHint,
    tlog_entries: [(); 0],
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyHint {
    #[serde(default)]
    hint: String,
}

impl KeyBundle {
    pub(crate) fn new(key: &PublicKey, envelope: Envelope) -> Self {
        Self {
            media_type: media_type::SIGSTORE_BUNDLE,
            verification_material: KeyMaterial {
                public_key: KeyHint { hint: key.hint() },
                tlog_entries: [],
            },
            dsse_envelope: envelope,
        }
    }
}

/// A bundle as anybody may have written it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Claimed {
    media_type: String,
    verification_material: ClaimedMaterial,
    dsse_envelope: Option<Envelope>,
    message_signature: Option<IgnoredAny>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ClaimedMaterial {
    public_key: Option<KeyHint>,
    certificate: Option<IgnoredAny>,
    x509_certificate_chain: Option<IgnoredAny>,
    #[serde(default, rename = "tlogEntries")]
    _tlog_entries: Option<IgnoredAny>,
    #[serde(default, rename = "timestampVerificationData")]
    _timestamps: Option<IgnoredAny>,
}

/// Checks that the bundle `bytes` signs the manifest `subject` with one of `keys`; returns the position of that key.
pub(super) fn check(bytes: &[u8], subject: &Digest, keys: &[&PublicKey]) -> Result<usize, BundleError> {
    if bytes.len() > MAX_BUNDLE_LEN {
        return Err(BundleError::TooLarge);
    }
    let claimed: Claimed = serde_json::from_slice(bytes).map_err(|error| BundleError::Json(error.to_string()))?;
    if !media_type::is_sigstore_bundle(&claimed.media_type) {
        return Err(BundleError::MediaType {
            found: claimed.media_type.chars().take(128).collect(),
        });
    }
    let material = claimed.verification_material;
    if material.certificate.is_some() || material.x509_certificate_chain.is_some() {
        return Err(BundleError::Keyless);
    }
    let hint = material.public_key.ok_or(BundleError::NoKeyHint)?.hint;
    let envelope = claimed.dsse_envelope.filter(|_| claimed.message_signature.is_none());
    let envelope = envelope.ok_or(BundleError::NoEnvelope)?;
    let hinted = keys
        .iter()
        .position(|key| hint == key.hint() || hint == key.fingerprint());
    let (payload, position) = match hinted {
        None if !hint.is_empty() => {
            return Err(BundleError::OtherKey {
                hint: hint.chars().take(80).collect(),
            });
        }
        None => envelope.open(keys)?,
        Some(position) => {
            let key: Vec<_> = keys.get(position).copied().into_iter().collect();
            (envelope.open(&key)?.0, position)
        }
    };
    Statement::check(&payload, subject)?;
    Ok(position)
}

/// Why a bundle is not a good signature. The text is for the explanation in [`super::VerifyError`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BundleError {
    #[error("it is larger than any signature")]
    TooLarge,
    #[error("it is not a Sigstore bundle: {0}")]
    Json(String),
    #[error("its version {found:?} is not read")]
    MediaType { found: String },
    #[error("it was made with a certificate, which key rules do not accept")]
    Keyless,
    #[error("it names no key")]
    NoKeyHint,
    #[error("it has no DSSE envelope")]
    NoEnvelope,
    #[error("it was made with the key {hint}, which the rule does not name")]
    OtherKey { hint: String },
    #[error("its payload type {found:?} is not in-toto")]
    PayloadType { found: String },
    #[error("it has {count} signatures instead of one")]
    SignatureCount { count: usize },
    #[error("its {field} is not base64")]
    Base64 { field: &'static str },
    #[error("no key of the rule made it")]
    WrongKey,
    #[error("its payload is not an in-toto statement")]
    NotAStatement,
    #[error("it is an attestation of {found:?}, not a signature")]
    Predicate { found: String },
    #[error("it signs another manifest")]
    OtherSubject,
}
