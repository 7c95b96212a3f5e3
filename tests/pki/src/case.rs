//! A signature to be made: who signs what, which log and clock vouch for it, and what is wrong with it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::body::{Logged, Verifier};
use crate::damage::damage;
use crate::flaw::Flaw;
use crate::identity::{Identity, San};
use crate::key::{Key, sha256};
use crate::log::Generation;
use crate::pki::{Issue, Pki};
use crate::root::trusted_root;
use crate::signed::Signed;
use crate::stamp::Style;

/// Payload type of in-toto statements.
pub const STATEMENT_TYPE: &str = "application/vnd.in-toto+json";

/// What the signature is made over.
struct Content {
    payload: Option<(String, Vec<u8>)>,
    message: Vec<u8>,
}

/// A signature to be made; see [`Pki::case`].
#[derive(Debug, Clone)]
pub struct Case<'a> {
    pub(crate) pki: &'a Pki,
    artifact: Vec<u8>,
    predicate: (String, Value),
    message: bool,
    pub(crate) generation: Option<Generation>,
    pub(crate) stamped: bool,
    pub(crate) style: Style,
    pub(crate) expired_tsa: bool,
    sct_extensions: Vec<u8>,
    managed: bool,
    identity: Identity,
    pub(crate) flaw: Option<Flaw>,
}

impl<'a> Case<'a> {
    pub(crate) fn new(pki: &'a Pki) -> Self {
        Self {
            pki,
            artifact: b"an artifact".to_vec(),
            predicate: ("https://sigstore.dev/cosign/sign/v1".to_owned(), json!({})),
            message: false,
            generation: Some(Generation::V2),
            stamped: true,
            style: Style::default(),
            expired_tsa: false,
            sct_extensions: Vec::new(),
            managed: false,
            identity: Identity::workflow(),
            flaw: None,
        }
    }

    /// What is signed.
    #[must_use]
    pub fn artifact(mut self, artifact: &[u8]) -> Self {
        self.artifact = artifact.to_vec();
        self
    }

    /// Type and value of the statement's predicate.
    #[must_use]
    pub fn predicate(mut self, predicate_type: &str, predicate: Value) -> Self {
        self.predicate = (predicate_type.to_owned(), predicate);
        self
    }

    /// Sign the artifact itself instead of a statement about it.
    #[must_use]
    pub fn message(mut self) -> Self {
        self.message = true;
        self
    }

    /// Which log has the entry: v1 is its own clock, v2 needs a stamp.
    #[must_use]
    pub fn log(mut self, generation: Generation) -> Self {
        self.generation = Some(generation);
        self.stamped = generation == Generation::V2;
        self
    }

    /// No log entry; the stamp alone says when.
    #[must_use]
    pub fn unlogged(mut self) -> Self {
        self.generation = None;
        self
    }

    /// Whether there is an RFC 3161 token.
    #[must_use]
    pub fn stamped(mut self, stamped: bool) -> Self {
        self.stamped = stamped;
        self
    }

    /// How the token is written.
    #[must_use]
    pub fn style(mut self, style: Style) -> Self {
        self.style = style;
        self
    }

    /// The token comes from an authority whose certificate has expired since.
    #[must_use]
    pub fn old_timestamp_authority(mut self) -> Self {
        self.expired_tsa = true;
        self
    }

    /// The SCT has these extensions.
    #[must_use]
    pub fn sct_extensions(mut self, extensions: &[u8]) -> Self {
        self.sct_extensions = extensions.to_vec();
        self
    }

    /// Sign with a key that the verifier is given, instead of a certificate.
    #[must_use]
    pub fn managed(mut self) -> Self {
        self.managed = true;
        self
    }

    /// Who signs.
    #[must_use]
    pub fn identity(mut self, identity: Identity) -> Self {
        self.identity = identity;
        self
    }

    /// What is wrong.
    #[must_use]
    pub fn flaw(mut self, flaw: Flaw) -> Self {
        self.flaw = Some(flaw);
        self
    }

    pub(crate) fn is(&self, flaw: Flaw) -> bool {
        self.flaw == Some(flaw)
    }

    /// Another signature by the same signer over another artifact, with nothing wrong.
    fn other(&self) -> Signed {
        let mut other = self.clone();
        other.flaw = None;
        other.artifact = b"another artifact".to_vec();
        other.sign()
    }

    /// Makes the signature.
    #[must_use]
    pub fn sign(&self) -> Signed {
        let key = Key::p256();
        let certificate = self.certificate(&key);
        let content = self.content();
        let signature = key.sign(&content.message);
        let verifier = if self.managed {
            Verifier::Key(key.spki())
        } else {
            Verifier::Certificate(certificate.clone())
        };
        let material = if self.managed {
            json!({ "publicKey": { "hint": STANDARD.encode(sha256(&key.spki())) } })
        } else {
            json!({ "certificate": { "rawBytes": STANDARD.encode(&certificate) } })
        };
        let logged = Logged {
            digest: sha256(&content.message),
            signature: signature.clone(),
            verifier,
            payload: content.payload.as_ref().map(|(_, payload)| payload.clone()),
        };
        let mut bundle = json!({
            "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "verificationMaterial": material,
        });
        bundle["verificationMaterial"]["tlogEntries"] = json!(self.entries(&logged));
        bundle["verificationMaterial"]["timestampVerificationData"] =
            json!({ "rfc3161Timestamps": self.stamps(&signature) });
        let signature = STANDARD.encode(&signature);
        match content.payload {
            Some((payload_type, payload)) => {
                bundle["dsseEnvelope"] = json!({
                    "payload": STANDARD.encode(payload),
                    "payloadType": payload_type,
                    "signatures": [{ "sig": signature }],
                });
            }
            None => {
                bundle["messageSignature"] = json!({
                    "messageDigest": { "algorithm": "SHA2_256", "digest": STANDARD.encode(sha256(&self.artifact)) },
                    "signature": signature,
                });
            }
        }
        let mut signed = Signed {
            bundle,
            root: trusted_root(&self.pki.own, self.flaw),
            artifact: self.artifact.clone(),
            subject: sha256(&self.artifact),
            public_pem: key.public_pem(),
            certificate,
        };
        if let Some(flaw) = self.flaw {
            damage(flaw, &mut signed, || self.other());
        }
        signed
    }

    /// When the certificate begins: a minute before the signature, or so that the flaw shows.
    pub(crate) fn not_before(&self) -> Timestamp {
        let minutes = match self.flaw {
            Some(Flaw::ExpiredCertificate) => -20,
            Some(Flaw::NotYetValidCertificate) => 10,
            // Ends one minute before the signature's nominal time.
            Some(
                Flaw::IntegratedTimeAfterCertificate | Flaw::StampAfterCertificate | Flaw::SecondStampAfterCertificate,
            ) => -11,
            _ => -1,
        };
        self.pki.signed_at + SignedDuration::from_mins(minutes)
    }

    pub(crate) fn certificate(&self, key: &Key) -> Vec<u8> {
        let (own, foreign) = (&self.pki.own, &self.pki.foreign);
        let mut identity = self.identity.clone();
        if self.is(Flaw::NoIdentity) {
            identity.san = San::Absent;
        }
        let authority = if self.is(Flaw::ForeignAuthority) { foreign } else { own };
        let issue = Issue {
            flaw: self.flaw,
            foreign: Some(foreign),
            sct_extensions: &self.sct_extensions,
        };
        authority.issue(&key.spki(), &identity, self.not_before(), &issue)
    }

    fn content(&self) -> Content {
        if self.message {
            return Content {
                payload: None,
                message: self.artifact.clone(),
            };
        }
        let about = if self.is(Flaw::StatementAboutOther) {
            sha256(b"another artifact")
        } else {
            sha256(&self.artifact)
        };
        let mut statement = json!({
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{ "name": "artifact", "digest": { "sha256": hex::encode(about) } }],
            "predicateType": self.predicate.0,
            "predicate": self.predicate.1,
        });
        match self.flaw {
            Some(Flaw::StatementWithoutSubject) => statement["subject"] = json!([]),
            Some(Flaw::StatementOfUnknownType) => statement["_type"] = json!("https://example.com/Statement/v9"),
            Some(Flaw::StatementWithoutType) => {
                statement.as_object_mut().expect("an object").remove("_type");
            }
            _ => {}
        }
        let payload_type = if self.is(Flaw::WrongPayloadType) {
            "text/plain"
        } else {
            STATEMENT_TYPE
        };
        let payload = statement.to_string().into_bytes();
        let mut message = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len()).into_bytes();
        message.extend_from_slice(&payload);
        Content {
            payload: Some((payload_type.to_owned(), payload)),
            message,
        }
    }
}
