//! in-toto statements about a manifest: plain signatures as cosign 3 writes them, model signatures, and attestations.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::bundle::BundleError;
use super::model_signing;
use crate::annotation;
use crate::descriptor::{Annotations, null_as_default};
use crate::digest::Digest;
use crate::manifest::Manifest;

const STATEMENT: &str = "https://in-toto.io/Statement/v1";
/// The same fields under an older name; attestations of older tools have it.
const STATEMENT_OLD: &str = "https://in-toto.io/Statement/v0.1";
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
    predicate: Value,
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

/// What was signed.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Content {
    /// The artifact itself.
    Signature,
    /// All files of the artifact, in a model signature.
    Model,
    /// A claim about the artifact.
    Attestation { predicate_type: String, predicate: Value },
}

impl Statement {
    /// A statement about the manifest `subject`.
    pub(crate) fn new(subject: &Digest, annotations: &Annotations, predicate_type: &str, predicate: Value) -> Self {
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
            predicate_type: predicate_type.to_owned(),
            predicate,
        }
    }

    /// A signature of the manifest `subject`.
    pub(crate) fn signature(subject: &Digest, annotations: &Annotations) -> Self {
        Self::new(subject, annotations, COSIGN_SIGN, Value::Object(serde_json::Map::new()))
    }

    /// Parses what claims to be a statement.
    pub(super) fn parse(payload: &[u8]) -> Result<Self, BundleError> {
        let statement: Self = serde_json::from_slice(payload).map_err(|_| BundleError::NotAStatement)?;
        let is_known =
            statement.kind == STATEMENT || (statement.kind == STATEMENT_OLD && statement.predicate_type != COSIGN_SIGN);
        is_known.then_some(statement).ok_or(BundleError::NotAStatement)
    }

    pub(super) fn predicate_type(&self) -> &str {
        &self.predicate_type
    }

    /// The digest of the only subject, which in a model signature is no manifest.
    pub(super) fn only_subject(&self) -> Option<Digest> {
        let [subject] = self.subject.as_slice() else {
            return None;
        };
        format!("sha256:{}", subject.digest.sha256.as_ref()?).parse().ok()
    }

    /// What this statement, whose signature is good, says of the manifest `subject`; and when it says that it was made.
    pub(super) fn content(
        self,
        subject: &Digest,
        manifest: Option<&Manifest>,
    ) -> Result<(Content, Option<Timestamp>), BundleError> {
        if self.predicate_type == model_signing::PREDICATE_TYPE {
            let root = self.only_subject().ok_or(BundleError::OtherSubject)?;
            let manifest = manifest.ok_or(BundleError::NoManifest)?;
            model_signing::check(&self.predicate, &root, manifest).map_err(BundleError::Model)?;
            return Ok((Content::Model, None));
        }
        let hex = subject.hex();
        let named = self
            .subject
            .iter()
            .find(|named| named.digest.sha256.as_ref() == Some(&hex));
        let named = named.ok_or(BundleError::OtherSubject)?;
        let signed_at = named.annotations.get(annotation::SIGNED_AT);
        let signed_at = signed_at.and_then(|text| text.parse().ok());
        if self.predicate_type == COSIGN_SIGN {
            return Ok((Content::Signature, signed_at));
        }
        let Self {
            predicate_type,
            predicate,
            ..
        } = self;
        Ok((
            Content::Attestation {
                predicate_type,
                predicate,
            },
            signed_at,
        ))
    }
}
