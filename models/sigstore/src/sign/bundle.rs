//! The bundle of a new signature: version 0.3, with one certificate.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sigstore_verify::types::bundle::{
    CertificateContent, MediaType, MessageDigest, MessageSignature, Rfc3161Timestamp, TimestampVerificationData,
    TransparencyLogEntry, VerificationMaterial, VerificationMaterialContent,
};
use sigstore_verify::types::{
    Bundle, DerCertificate, DigestBytes, DsseEnvelope, DsseSignature, HashAlgorithm, KeyId, PayloadBytes,
    SignatureBytes, SignatureContent, TimestampToken,
};

use super::{IN_TOTO, Message, SignError, Signable};

/// The bundle as JSON.
pub(super) fn write(
    message: &Message<'_>,
    signature: &[u8],
    certificate: &[u8],
    entries: Vec<TransparencyLogEntry>,
    stamps: Vec<Vec<u8>>,
) -> Result<Vec<u8>, SignError> {
    let signature = SignatureBytes::from_bytes(signature);
    let content = match message.what {
        Signable::Statement(payload) => SignatureContent::DsseEnvelope(DsseEnvelope::new(
            IN_TOTO,
            PayloadBytes::from_bytes(payload),
            DsseSignature::new(signature, KeyId::default()),
        )),
        Signable::Digest(digest) => {
            let digest = DigestBytes::new(digest.as_bytes().to_vec());
            let digest = MessageDigest::new(HashAlgorithm::Sha2256, digest);
            SignatureContent::MessageSignature(MessageSignature::new(signature).with_message_digest(digest))
        }
    };
    let stamps = stamps
        .into_iter()
        .map(|stamp| Rfc3161Timestamp::new(TimestampToken::new(stamp)));
    let certificate = CertificateContent::new(DerCertificate::from_bytes(certificate));
    let material = VerificationMaterial::new(VerificationMaterialContent::Certificate(certificate))
        .with_tlog_entries(entries)
        .with_timestamp_verification_data(TimestampVerificationData::new(stamps.collect()));
    let bundle = Bundle::new(MediaType::Bundle0_3, material, content);
    let json = bundle.to_json().map_err(|error| SignError::encode("bundle", error))?;
    Ok(json.into_bytes())
}

/// The envelope as Rekor v1 takes it.
pub(super) fn envelope(payload: &[u8], signature: &[u8]) -> Value {
    json!({
        "payload": STANDARD.encode(payload),
        "payloadType": IN_TOTO,
        "signatures": [{ "sig": STANDARD.encode(signature) }],
    })
}
