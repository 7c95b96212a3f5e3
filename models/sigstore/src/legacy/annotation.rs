//! The annotations `dev.sigstore.cosign/*`: certificate, chain, log entry (`bundle`) and timestamp.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use sigstore_verify::types::bundle::{InclusionPromise, KindVersion, LogId, Rfc3161Timestamp, TransparencyLogEntry};
use sigstore_verify::types::{CanonicalizedBody, DerCertificate, LogIndex, LogKeyId, SignedTimestamp, TimestampToken};
use x509_cert::Certificate;
use x509_cert::der::Encode;

use crate::fence::fenced;
use crate::json::admit;
use crate::limits::{JSON_DEPTH, LEGACY_BYTES};
use crate::refusal::Refusal;
use crate::verify::is_self_issued;

const CERTIFICATE: &str = "dev.sigstore.cosign/certificate";
const CHAIN: &str = "dev.sigstore.cosign/chain";
const BUNDLE: &str = "dev.sigstore.cosign/bundle";
const TIMESTAMP: &str = "dev.sigstore.cosign/rfc3161timestamp";

type Annotations = BTreeMap<String, String>;

/// The signer's certificate and what follows it in the chain.
pub(super) fn certificates(annotations: &Annotations) -> Result<Vec<DerCertificate>, Refusal> {
    let leaf = annotations
        .get(CERTIFICATE)
        .ok_or(Refusal::MissingAnnotation { name: CERTIFICATE })?;
    let mut certificates = read_pem(leaf, CERTIFICATE)?;
    if certificates.len() != 1 {
        let source = format!("it holds {} certificates instead of one", certificates.len());
        return Err(Refusal::malformed(CERTIFICATE, source));
    }
    if let Some(chain) = annotations.get(CHAIN).filter(|chain| !chain.trim().is_empty()) {
        // cosign writes the root too. It is left out: roots come from the verifier.
        for certificate in read_pem(chain, CHAIN)? {
            if !is_self_issued(&certificate)? {
                certificates.push(certificate);
            }
        }
    }
    Ok(certificates)
}

fn read_pem(pem: &str, what: &'static str) -> Result<Vec<DerCertificate>, Refusal> {
    let chain = fenced(|| Certificate::load_pem_chain(pem.as_bytes()))
        .map_err(|_| Refusal::Broken { what })?
        .map_err(|error| Refusal::malformed(what, error))?;
    chain
        .iter()
        .map(|certificate| certificate.to_der().map(DerCertificate::new))
        .collect::<Result<_, _>>()
        .map_err(|error| Refusal::malformed(what, error))
}

/// The entry of Rekor v1, if there is one.
pub(super) fn log_entry(annotations: &Annotations) -> Result<Option<TransparencyLogEntry>, Refusal> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase", deny_unknown_fields)]
    struct Bundle {
        signed_entry_timestamp: String,
        payload: Payload,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Payload {
        body: String,
        integrated_time: i64,
        log_index: i64,
        #[serde(rename = "logID")]
        log_id: String,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Kind {
        api_version: String,
        kind: String,
    }
    let Some(Bundle {
        signed_entry_timestamp,
        payload,
    }) = read_json::<Bundle>(annotations, BUNDLE)?
    else {
        return Ok(None);
    };
    let body = base64(&payload.body, BUNDLE)?;
    let kind: Kind = serde_json::from_slice(&body).map_err(|error| Refusal::malformed(BUNDLE, error))?;
    if (kind.kind.as_str(), kind.api_version.as_str()) != ("hashedrekord", "0.0.1") {
        return Err(Refusal::Unsupported {
            source: "the logged entry is not a hashedrekord 0.0.1".into(),
        });
    }
    let index = LogIndex::try_from(payload.log_index).map_err(|error| Refusal::malformed(BUNDLE, error))?;
    let log = hex::decode(&payload.log_id).map_err(|error| Refusal::malformed(BUNDLE, error))?;
    let integrated =
        Timestamp::from_second(payload.integrated_time).map_err(|error| Refusal::malformed(BUNDLE, error))?;
    let promise = InclusionPromise::new(SignedTimestamp::new(base64(&signed_entry_timestamp, BUNDLE)?));
    let body = CanonicalizedBody::new(body);
    let entry = TransparencyLogEntry::new(
        index,
        LogId::new(LogKeyId::new(log)),
        KindVersion::HashedRekordV001,
        body,
    );
    Ok(Some(
        entry.with_integrated_time(integrated).with_inclusion_promise(promise),
    ))
}

/// The RFC 3161 token, if there is one.
pub(super) fn timestamp(annotations: &Annotations) -> Result<Option<Rfc3161Timestamp>, Refusal> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Stamp {
        #[serde(rename = "SignedRFC3161Timestamp")]
        token: String,
    }
    let Some(stamp) = read_json::<Stamp>(annotations, TIMESTAMP)? else {
        return Ok(None);
    };
    let token = TimestampToken::new(base64(&stamp.token, TIMESTAMP)?);
    Ok(Some(Rfc3161Timestamp::new(token)))
}

/// An annotation that holds JSON. cosign writes an empty or null one where there is nothing to say.
fn read_json<T: DeserializeOwned>(annotations: &Annotations, name: &'static str) -> Result<Option<T>, Refusal> {
    let Some(value) = annotations.get(name).filter(|value| !value.trim().is_empty()) else {
        return Ok(None);
    };
    let text = admit(value.as_bytes(), LEGACY_BYTES, JSON_DEPTH).map_err(|fault| Refusal::unread(name, fault))?;
    serde_json::from_str(text).map_err(|error| Refusal::malformed(name, error))
}

fn base64(text: &str, what: &'static str) -> Result<Vec<u8>, Refusal> {
    STANDARD.decode(text).map_err(|error| Refusal::malformed(what, error))
}
