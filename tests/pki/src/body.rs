//! What gets logged: canonical bodies of Rekor entries.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use der::pem::{LineEnding, encode_string};
use serde_json::{Value, json};

use crate::key::sha256;
use crate::log::Generation;

/// What vouches for a signature: a certificate, or a key alone.
#[derive(Debug, Clone)]
pub(crate) enum Verifier {
    /// A certificate in DER.
    Certificate(Vec<u8>),
    /// A public key in DER.
    Key(Vec<u8>),
}

impl Verifier {
    fn pem(&self) -> String {
        let (label, der) = match self {
            Self::Certificate(der) => ("CERTIFICATE", der),
            Self::Key(der) => ("PUBLIC KEY", der),
        };
        encode_string(label, LineEnding::LF, der).expect("PEM")
    }

    fn json(&self) -> Value {
        match self {
            Self::Certificate(der) => json!({ "x509Certificate": { "rawBytes": STANDARD.encode(der) } }),
            Self::Key(der) => json!({ "publicKey": { "rawBytes": STANDARD.encode(der) } }),
        }
    }
}

/// A signature as a log sees it.
#[derive(Debug, Clone)]
pub(crate) struct Logged {
    /// SHA-256 of what is signed: the artifact, or the envelope's pre-authentication encoding.
    pub(crate) digest: [u8; 32],
    pub(crate) signature: Vec<u8>,
    pub(crate) verifier: Verifier,
    /// The envelope's payload, which Rekor v1 logs as another kind.
    pub(crate) payload: Option<Vec<u8>>,
}

impl Logged {
    /// Kind, version and canonical body.
    pub(crate) fn body(&self, generation: Generation) -> ((&'static str, &'static str), Vec<u8>) {
        let (kind, value) = match (generation, &self.payload) {
            (Generation::V2, _) => (("hashedrekord", "0.0.2"), self.hashedrekord_v2()),
            (Generation::V1, None) => (("hashedrekord", "0.0.1"), self.hashedrekord_v1()),
            (Generation::V1, Some(payload)) => (("dsse", "0.0.1"), self.dsse(payload)),
        };
        let body = json!({ "apiVersion": kind.1, "kind": kind.0, "spec": value });
        (kind, body.to_string().into_bytes())
    }

    fn hashedrekord_v2(&self) -> Value {
        let mut verifier = self.verifier.json();
        verifier["keyDetails"] = json!("PKIX_ECDSA_P256_SHA_256");
        json!({ "hashedRekordV002": {
            "data": { "algorithm": "SHA2_256", "digest": STANDARD.encode(self.digest) },
            "signature": { "content": STANDARD.encode(&self.signature), "verifier": verifier },
        } })
    }

    fn hashedrekord_v1(&self) -> Value {
        json!({
            "data": { "hash": { "algorithm": "sha256", "value": hex::encode(self.digest) } },
            "signature": {
                "content": STANDARD.encode(&self.signature),
                "publicKey": { "content": STANDARD.encode(self.verifier.pem()) },
            },
        })
    }

    fn dsse(&self, payload: &[u8]) -> Value {
        json!({
            "envelopeHash": { "algorithm": "sha256", "value": hex::encode(sha256(b"an envelope")) },
            "payloadHash": { "algorithm": "sha256", "value": hex::encode(sha256(payload)) },
            "signatures": [{
                "signature": STANDARD.encode(&self.signature),
                "verifier": STANDARD.encode(self.verifier.pem()),
            }],
        })
    }
}
