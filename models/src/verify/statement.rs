//! in-toto statements (v1) that say "this manifest is signed", in the form that cosign 3 writes.

use serde::{Deserialize, Serialize};

use super::bundle::BundleError;
use crate::descriptor::{Annotations, null_as_default};
use crate::digest::Digest;

const STATEMENT: &str = "https://in-toto.io/Statement/v1";
/// Predicate of a plain signature, as opposed to an attestation about something.
pub(crate) const COSIGN_SIGN: &str = "https://sigstore.dev/cosign/sign/v1";

/// A signed claim about its subjects.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Statement {
    #[serde(rename = "_type")]
    kind: String,
    subject: Vec<Subject>,
    predicate_type: String,
    #[serde(default)]
    predicate: serde_json::Value,
}

#[derive(Debug, Serialize, Deserialize)]
struct Subject {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    name: String,
    digest: DigestSet,
    #[serde(
        default,
        deserialize_with = "null_as_default",
        skip_serializing_if = "Annotations::is_empty"
    )]
    annotations: Annotations,
}

#[derive(Debug, Serialize, Deserialize)]
struct DigestSet {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
}

impl Statement {
    /// A signature of the manifest `subject`.
    pub(crate) fn signature(subject: &Digest, annotations: &Annotations) -> Self {
        let subject = Subject {
            name: String::new(),
            digest: DigestSet {
                sha256: Some(subject.hex()),
            },
            annotations: annotations.clone(),
        };
        Self {
            kind: STATEMENT.to_owned(),
            subject: vec![subject],
            predicate_type: COSIGN_SIGN.to_owned(),
            predicate: serde_json::Value::Object(serde_json::Map::new()),
        }
    }

    /// Checks that `payload`, whose signature is good, signs the manifest `subject`.
    pub(super) fn check(payload: &[u8], subject: &Digest) -> Result<(), BundleError> {
        let statement: Self = serde_json::from_slice(payload).map_err(|_| BundleError::NotAStatement)?;
        if statement.kind != STATEMENT {
            return Err(BundleError::NotAStatement);
        }
        if statement.predicate_type != COSIGN_SIGN {
            return Err(BundleError::Predicate {
                found: statement.predicate_type.chars().take(128).collect(),
            });
        }
        let hex = subject.hex();
        let named = statement
            .subject
            .iter()
            .any(|named| named.digest.sha256.as_ref() == Some(&hex));
        named.then_some(()).ok_or(BundleError::OtherSubject)
    }
}
