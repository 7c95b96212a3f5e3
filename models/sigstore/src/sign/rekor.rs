//! Rekor: an entry in a transparency log, by the API of v1 (`dsse` and `hashedrekord` entries, with a promise and a proof)
//! or of v2 (`hashedrekord` on tiles, with a proof alone).

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use der::pem::{LineEnding, encode_string};
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use sigstore_verify::types::bundle::{
    CheckpointData, InclusionPromise, InclusionProof, KindVersion, LogId, TransparencyLogEntry,
};
use sigstore_verify::types::{CanonicalizedBody, LogIndex, LogKeyId, Sha256Hash, SignedTimestamp};

use super::bundle::envelope;
use super::http::Client;
use super::{Message, Service, SignError, Signable};
use crate::fence::fenced;
use crate::json::admit;
use crate::limits::{ANSWER_BYTES, JSON_DEPTH};

const NAME: &str = "Rekor";

/// The entry that `service` made of the signature.
pub(super) async fn log(
    client: &Client<'_>,
    service: &Service,
    message: &Message<'_>,
    signature: &[u8],
    certificate: &[u8],
) -> Result<TransparencyLogEntry, SignError> {
    let (path, body) = if service.version >= 2 {
        ("/api/v2/log/entries", request_v2(message, signature, certificate))
    } else {
        ("/api/v1/log/entries", request_v1(message, signature, certificate)?)
    };
    let url = format!("{}{path}", service.url);
    let json = "application/json";
    let answer = client.post(NAME, &url, json, json, body.to_string().as_bytes()).await?;
    let text = admit(&answer, ANSWER_BYTES, JSON_DEPTH).map_err(|fault| SignError::answer(NAME, fault))?;
    let entry = if service.version >= 2 {
        read(text)?
    } else {
        read_v1(read(text)?)?
    };
    check(&entry, signature)?;
    Ok(entry)
}

fn request_v2(message: &Message<'_>, signature: &[u8], certificate: &[u8]) -> Value {
    json!({ "hashedRekordRequestV002": {
        "digest": STANDARD.encode(message.digest.as_bytes()),
        "signature": {
            "content": STANDARD.encode(signature),
            "verifier": {
                "x509Certificate": { "rawBytes": STANDARD.encode(certificate) },
                "keyDetails": "PKIX_ECDSA_P256_SHA_256",
            },
        },
    } })
}

fn request_v1(message: &Message<'_>, signature: &[u8], certificate: &[u8]) -> Result<Value, SignError> {
    let pem = encode_string("CERTIFICATE", LineEnding::LF, certificate)
        .map_err(|error| SignError::encode("certificate", error))?;
    let pem = STANDARD.encode(pem);
    Ok(match message.what {
        Signable::Statement(payload) => json!({
            "apiVersion": "0.0.1",
            "kind": "dsse",
            "spec": { "proposedContent": {
                "envelope": envelope(payload, signature).to_string(),
                "verifiers": [pem],
            } },
        }),
        Signable::Digest(digest) => json!({
            "apiVersion": "0.0.1",
            "kind": "hashedrekord",
            "spec": {
                "data": { "hash": { "algorithm": "sha256", "value": digest.to_string() } },
                "signature": { "content": STANDARD.encode(signature), "publicKey": { "content": pem } },
            },
        }),
    })
}

fn read<T: DeserializeOwned>(text: &str) -> Result<T, SignError> {
    fenced(|| serde_json::from_str(text))
        .map_err(|_| SignError::answer(NAME, "it broke the parser"))?
        .map_err(|error| SignError::answer(NAME, error))
}

/// The log must have signed what we signed: its entry holds our signature.
fn check(entry: &TransparencyLogEntry, signature: &[u8]) -> Result<(), SignError> {
    let signature = STANDARD.encode(signature).into_bytes();
    let body = entry.canonicalized_body.as_bytes();
    if !body.windows(signature.len()).any(|window| window == signature) {
        return Err(SignError::OtherAnswer {
            service: NAME,
            what: "an entry of another signature",
        });
    }
    if entry.inclusion_proof.is_none() {
        return Err(SignError::OtherAnswer {
            service: NAME,
            what: "an entry without an inclusion proof",
        });
    }
    Ok(())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct EntryV1 {
    body: String,
    integrated_time: i64,
    #[serde(rename = "logID")]
    log_id: String,
    log_index: u64,
    verification: VerificationV1,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct VerificationV1 {
    inclusion_proof: ProofV1,
    signed_entry_timestamp: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ProofV1 {
    checkpoint: String,
    hashes: Vec<String>,
    log_index: u64,
    root_hash: String,
    tree_size: u64,
}

/// An answer of v1, a map of one entry, in the form of bundles.
fn read_v1(entries: BTreeMap<String, EntryV1>) -> Result<TransparencyLogEntry, SignError> {
    #[derive(Deserialize)]
    struct Kind {
        kind: String,
    }
    let unreadable = |error: &dyn std::fmt::Display| SignError::answer(NAME, error);
    let mut entries = entries.into_values();
    let (Some(entry), None) = (entries.next(), entries.next()) else {
        return Err(SignError::OtherAnswer {
            service: NAME,
            what: "not exactly one entry",
        });
    };
    let body = STANDARD.decode(&entry.body).map_err(|error| unreadable(&error))?;
    let kind: Kind = serde_json::from_slice(&body).map_err(|error| unreadable(&error))?;
    let kind = if kind.kind == "dsse" {
        KindVersion::DsseV001
    } else {
        KindVersion::HashedRekordV001
    };
    let proof = entry.verification.inclusion_proof;
    let hash = |text: &String| Sha256Hash::from_hex(text).map_err(|error| unreadable(&error));
    let index = |index| LogIndex::new(index).map_err(|error| unreadable(&error));
    let proof = InclusionProof::new(
        index(proof.log_index)?,
        hash(&proof.root_hash)?,
        proof.tree_size,
        proof.hashes.iter().map(hash).collect::<Result<_, _>>()?,
        CheckpointData::new(proof.checkpoint).map_err(|error| unreadable(&error))?,
    );
    let log = LogId::new(LogKeyId::new(
        hex::decode(&entry.log_id).map_err(|error| unreadable(&error))?,
    ));
    let set = STANDARD
        .decode(entry.verification.signed_entry_timestamp)
        .map_err(|error| unreadable(&error))?;
    let integrated = Timestamp::from_second(entry.integrated_time).map_err(|error| unreadable(&error))?;
    let made = TransparencyLogEntry::new(index(entry.log_index)?, log, kind, CanonicalizedBody::new(body));
    Ok(made
        .with_integrated_time(integrated)
        .with_inclusion_promise(InclusionPromise::new(SignedTimestamp::new(set)))
        .with_inclusion_proof(proof))
}
