//! DSSE envelopes (secure-systems-lab/dsse, v1.0.2) with exactly one signature, as Sigstore bundles carry them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::bundle::BundleError;
use crate::key::PublicKey;

/// Payload type of in-toto statements.
pub(crate) const IN_TOTO: &str = "application/vnd.in-toto+json";

/// A payload and its signature. The payload is a claim before [`Envelope::open`] has checked it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Envelope {
    payload: String,
    payload_type: String,
    signatures: Vec<EnvelopeSignature>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EnvelopeSignature {
    sig: String,
    /// Not signed and so not looked at; cosign writes it empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    keyid: Option<String>,
}

impl Envelope {
    /// An envelope of an in-toto statement and its signature over [`pae`].
    pub(crate) fn new(payload: &[u8], signature: &[u8]) -> Self {
        Self {
            payload: STANDARD.encode(payload),
            payload_type: IN_TOTO.to_owned(),
            signatures: vec![EnvelopeSignature {
                sig: STANDARD.encode(signature),
                keyid: None,
            }],
        }
    }

    /// The payload without any check.
    pub(super) fn claimed_payload(&self) -> Option<Vec<u8>> {
        decode(&self.payload, "payload").ok()
    }

    /// The payload, if `key` made the signature.
    pub(super) fn open(&self, key: &PublicKey) -> Result<Vec<u8>, BundleError> {
        if self.payload_type != IN_TOTO {
            return Err(BundleError::PayloadType {
                found: self.payload_type.chars().take(128).collect(),
            });
        }
        let [signature] = self.signatures.as_slice() else {
            return Err(BundleError::SignatureCount {
                count: self.signatures.len(),
            });
        };
        let payload = decode(&self.payload, "payload")?;
        let signature = decode(&signature.sig, "signature")?;
        let message = pae(&self.payload_type, &payload);
        key.verifies(&message, &signature)
            .then_some(payload)
            .ok_or(BundleError::WrongKey)
    }
}

pub(super) fn decode(text: &str, field: &'static str) -> Result<Vec<u8>, BundleError> {
    STANDARD.decode(text).map_err(|_| BundleError::Base64 { field })
}

/// The bytes that are signed: DSSE's pre-authentication encoding.
pub(crate) fn pae(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut message = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len()).into_bytes();
    message.extend_from_slice(payload);
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the DSSE protocol document.
    #[test]
    fn pae_known_answer() {
        let message = pae("http://example.com/HelloWorld", b"hello world");
        assert_eq!(message, b"DSSEv1 29 http://example.com/HelloWorld 11 hello world");
    }
}
