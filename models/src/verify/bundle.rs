//! Sigstore bundles (v0.3) as JSON: what is claimed in one, and the form in which this crate writes its own.
//!
//! Nothing here is proven but by [`Claimed::open`], which checks the signature of a plain key.

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use super::dsse::Envelope;
use crate::key::PublicKey;
use crate::media_type;

/// Largest signature bundle that is read, in bytes: provenance runs to some hundred kilobytes.
pub const MAX_BUNDLE_BYTES: u64 = 1 << 20;
const MAX_BUNDLE_LEN: usize = 1 << 20;

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
pub(super) struct Claimed {
    media_type: String,
    verification_material: ClaimedMaterial,
    dsse_envelope: Option<Envelope>,
    message_signature: Option<ClaimedMessage>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ClaimedMaterial {
    public_key: Option<KeyHint>,
    certificate: Option<IgnoredAny>,
    x509_certificate_chain: Option<IgnoredAny>,
    #[serde(default)]
    tlog_entries: Option<Vec<IgnoredAny>>,
    #[serde(default)]
    timestamp_verification_data: Option<ClaimedTimestamps>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClaimedTimestamps {
    #[serde(default)]
    rfc3161_timestamps: Option<Vec<IgnoredAny>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClaimedMessage {
    signature: String,
}

/// What a plain key signed.
pub(super) enum Opened {
    /// An in-toto statement, as JSON.
    Statement(Vec<u8>),
    /// The manifest's own bytes.
    Message,
}

impl Claimed {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, BundleError> {
        if bytes.len() > MAX_BUNDLE_LEN {
            return Err(BundleError::TooLarge);
        }
        serde_json::from_slice(bytes).map_err(|error| BundleError::Json(error.to_string()))
    }

    /// The statement that the envelope claims to hold; nothing of it is proven.
    pub(super) fn statement(&self) -> Option<Vec<u8>> {
        self.dsse_envelope.as_ref().and_then(Envelope::claimed_payload)
    }

    /// Whether it was made with a certificate.
    pub(super) fn is_keyless(&self) -> bool {
        let material = &self.verification_material;
        material.certificate.is_some() || material.x509_certificate_chain.is_some()
    }

    /// Whether it brings log entries or timestamps.
    pub(super) fn has_evidence(&self) -> bool {
        let some = |list: &Option<Vec<IgnoredAny>>| list.as_ref().is_some_and(|list| !list.is_empty());
        let stamps = self.verification_material.timestamp_verification_data.as_ref();
        some(&self.verification_material.tlog_entries) || stamps.is_some_and(|stamps| some(&stamps.rfc3161_timestamps))
    }

    /// Refuses bundles that say nothing, or two things of which readers might see different ones.
    pub(super) fn check_content(&self) -> Result<(), BundleError> {
        let is_one = self.dsse_envelope.is_some() != self.message_signature.is_some();
        is_one.then_some(()).ok_or(BundleError::NoEnvelope)
    }

    /// Refuses bundles that `key` cannot have made, by what they say of themselves.
    pub(super) fn check_made_with(&self, key: &PublicKey) -> Result<(), BundleError> {
        if !media_type::is_sigstore_bundle(&self.media_type) {
            return Err(BundleError::MediaType {
                found: self.media_type.chars().take(128).collect(),
            });
        }
        if self.is_keyless() {
            return Err(BundleError::Keyless);
        }
        let hint = &self
            .verification_material
            .public_key
            .as_ref()
            .ok_or(BundleError::NoKeyHint)?
            .hint;
        self.check_content()?;
        if !hint.is_empty() && !key.is_called(hint) {
            return Err(BundleError::OtherKey {
                hint: hint.chars().take(80).collect(),
            });
        }
        Ok(())
    }

    /// What `key` signed. `manifest` is the artifact's manifest, for signatures over its bytes.
    pub(super) fn open(&self, key: &PublicKey, manifest: Option<&[u8]>) -> Result<Opened, BundleError> {
        self.check_made_with(key)?;
        if let Some(envelope) = &self.dsse_envelope {
            return envelope.open(key).map(Opened::Statement);
        }
        let message = self.message_signature.as_ref().ok_or(BundleError::NoEnvelope)?;
        let manifest = manifest.ok_or(BundleError::NoManifest)?;
        let signature = super::dsse::decode(&message.signature, "signature")?;
        key.verifies(manifest, &signature)
            .then_some(Opened::Message)
            .ok_or(BundleError::WrongKey)
    }
}

/// Why a signature by a key does not count. The text is for the explanation in [`super::VerifyError`].
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
    #[error("it was made with a bare key, which keyless rules do not accept")]
    Bare,
    #[error("it names no key")]
    NoKeyHint,
    #[error("it has no DSSE envelope, or not that alone")]
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
    #[error("it signs another manifest")]
    OtherSubject,
    #[error("the manifest, which it signs directly, is not at hand")]
    NoManifest,
    #[error("it is in no transparency log, which the rule requires")]
    NotLogged,
    #[error("its form has no place for what the rule requires")]
    Form,
    #[error("its list of files does not fit the artifact: {0}")]
    Model(String),
}
