//! Fulcio: a certificate for a key and the owner of a token (fulcio `docs/`, API v2 `signingCert`).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use der::pem::{LineEnding, encode_string};
use serde::Deserialize;
use serde_json::json;
use x509_cert::Certificate;
use x509_cert::der::{Decode, Encode};

use super::http::Client;
use super::key::EphemeralKey;
use super::{Service, SignError};
use crate::fence::fenced;
use crate::json::admit;
use crate::limits::{ANSWER_BYTES, JSON_DEPTH};

const NAME: &str = "Fulcio";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    signed_certificate_embedded_sct: Option<Signed>,
    signed_certificate_detached_sct: Option<Signed>,
}

#[derive(Deserialize)]
struct Signed {
    chain: Chain,
}

#[derive(Deserialize)]
struct Chain {
    certificates: Vec<String>,
}

/// The certificate (DER) for `key` and the owner of `token`.
pub(super) async fn certificate(
    client: &Client<'_>,
    service: &Service,
    key: &EphemeralKey,
    token: &str,
) -> Result<Vec<u8>, SignError> {
    let request = encode_string("CERTIFICATE REQUEST", LineEnding::LF, &key.certificate_request()?)
        .map_err(|error| SignError::encode("certificate request", error))?;
    let body = json!({
        "credentials": { "oidcIdentityToken": token },
        "certificateSigningRequest": STANDARD.encode(request),
    });
    let url = format!("{}/api/v2/signingCert", service.url);
    let json = "application/json";
    let answer = client.post(NAME, &url, json, json, body.to_string().as_bytes()).await?;
    let text = admit(&answer, ANSWER_BYTES, JSON_DEPTH).map_err(|fault| SignError::answer(NAME, fault))?;
    let answer: Answer = serde_json::from_str(text).map_err(|error| SignError::answer(NAME, error))?;
    let signed = answer
        .signed_certificate_embedded_sct
        .or(answer.signed_certificate_detached_sct);
    let leaf = signed.and_then(|signed| signed.chain.certificates.into_iter().next());
    let leaf = leaf.ok_or(SignError::OtherAnswer {
        service: NAME,
        what: "no certificate",
    })?;
    read(&leaf, &key.spki()?)
}

/// The certificate out of its PEM, if it is for our key.
fn read(pem: &str, spki: &[u8]) -> Result<Vec<u8>, SignError> {
    let (label, der) = der::pem::decode_vec(pem.trim().as_bytes()).map_err(|error| SignError::answer(NAME, error))?;
    let certificate = fenced(|| Certificate::from_der(&der))
        .map_err(|_| SignError::answer(NAME, "the certificate broke the parser"))?
        .map_err(|error| SignError::answer(NAME, error))?;
    let certified = certificate.tbs_certificate.subject_public_key_info.to_der();
    if label != "CERTIFICATE" || certified.ok().as_deref() != Some(spki) {
        return Err(SignError::OtherAnswer {
            service: NAME,
            what: "a certificate for another key",
        });
    }
    Ok(der)
}
