//! The simple-signing payload: which manifest is signed, and under which name the signer saw it.

use serde::Deserialize;

use crate::digest::Sha256;
use crate::json::admit;
use crate::limits::{JSON_DEPTH, LEGACY_BYTES};
use crate::refusal::Refusal;

/// `critical.type` of what cosign writes.
const COSIGN_TYPE: &str = "cosign container image signature";

/// A payload. `optional` holds the signer's annotations, which the caller reads from the bytes.
#[derive(Debug, Deserialize)]
pub(super) struct Payload {
    critical: Critical,
}

/// `critical`: unknown fields are refused, as its name asks.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Critical {
    identity: Identity,
    image: Image,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Identity {
    #[serde(rename = "docker-reference")]
    docker_reference: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Image {
    #[serde(rename = "docker-manifest-digest")]
    digest: String,
}

impl Payload {
    pub(super) fn docker_reference(&self) -> &str {
        &self.critical.identity.docker_reference
    }
}

/// Reads a payload that is about `subject`.
pub(super) fn read(bytes: &[u8], subject: &Sha256) -> Result<Payload, Refusal> {
    let text = admit(bytes, LEGACY_BYTES, JSON_DEPTH).map_err(|fault| Refusal::unread("payload", fault))?;
    let payload: Payload = serde_json::from_str(text).map_err(|error| Refusal::malformed("payload", error))?;
    if payload.critical.kind != COSIGN_TYPE {
        return Err(Refusal::StatementType {
            found: payload.critical.kind.chars().take(128).collect(),
        });
    }
    if payload.critical.image.digest != format!("sha256:{subject}") {
        return Err(Refusal::OtherSubject {
            subject: *subject,
            source: None,
        });
    }
    Ok(payload)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn payload(kind: &str, digest: &str, more: &str) -> String {
        format!(
            r#"{{"critical":{{"identity":{{"docker-reference":"r/a"}},"image":{{"docker-manifest-digest":"{digest}"}},"type":"{kind}"{more}}},"optional":null}}"#
        )
    }

    #[test]
    fn only_the_subject_of_the_known_type_is_read() {
        let subject = Sha256::of(b"a manifest");
        let digest = format!("sha256:{subject}");
        let good = payload(COSIGN_TYPE, &digest, "");
        assert_eq!(read(good.as_bytes(), &subject).unwrap().docker_reference(), "r/a");
        let other = read(good.as_bytes(), &Sha256::of(b"another"));
        assert!(matches!(other, Err(Refusal::OtherSubject { .. })), "{other:?}");
        let kind = read(payload("atomic container signature", &digest, "").as_bytes(), &subject);
        assert!(matches!(kind, Err(Refusal::StatementType { .. })), "{kind:?}");
        let critical = read(payload(COSIGN_TYPE, &digest, r#","expires":1"#).as_bytes(), &subject);
        assert!(matches!(critical, Err(Refusal::Malformed { .. })), "{critical:?}");
        let upper = read(payload(COSIGN_TYPE, &digest.to_uppercase(), "").as_bytes(), &subject);
        assert!(matches!(upper, Err(Refusal::OtherSubject { .. })), "{upper:?}");
    }
}
