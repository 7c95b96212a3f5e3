//! What a bundle must be before any signature of it is checked: small, shallow, and without more of anything than honest
//! bundles have. Each cap bounds the work that a hostile bundle can cause.

use sigstore_verify::types::{Bundle, DerCertificate, SignatureContent, TimestampToken};
use x509_cert::Certificate;
use x509_cert::der::Decode;

use crate::fence::fenced;
use crate::json;
use crate::limits::{
    BUNDLE_BYTES, CERTIFICATES, CHECKPOINT_LINES, JSON_DEPTH, LOG_ENTRIES, PROOF_HASHES, STATEMENT_DEPTH, TIMESTAMPS,
};
use crate::refusal::Refusal;

/// Reads a bundle and checks its size and shape.
pub(crate) fn admit(bytes: &[u8]) -> Result<Bundle, Refusal> {
    let text = json::admit(bytes, BUNDLE_BYTES, JSON_DEPTH).map_err(|fault| Refusal::unread("bundle", fault))?;
    let bundle = fenced(|| Bundle::from_json(text))
        .map_err(|_| Refusal::Broken { what: "bundle" })?
        .map_err(|error| Refusal::malformed("bundle", error))?;
    check_counts(&bundle)?;
    if let SignatureContent::DsseEnvelope(envelope) = &bundle.content {
        // The dependency parses the statement to find its subjects, before the signature is checked.
        json::admit(envelope.payload.as_bytes(), BUNDLE_BYTES, STATEMENT_DEPTH)
            .map_err(|fault| Refusal::unread("statement", fault))?;
    }
    Ok(bundle)
}

/// Refuses more of anything than honest bundles have, entries that prove nothing, and entries that occur twice.
pub(crate) fn check_counts(bundle: &Bundle) -> Result<(), Refusal> {
    use sigstore_verify::types::bundle::VerificationMaterialContent::X509CertificateChain;
    let check = |of, count, cap| {
        if count > cap {
            let what = "bundle";
            Err(Refusal::TooMany { what, of, count, cap })
        } else {
            Ok(())
        }
    };
    let material = &bundle.verification_material;
    if let X509CertificateChain { certificates } = &material.content {
        check("certificates", certificates.len(), CERTIFICATES)?;
        for certificate in certificates.iter().skip(1) {
            if is_self_issued(&certificate.raw_bytes)? {
                return Err(Refusal::Unsupported {
                    source: "its chain brings its own root certificate".into(),
                });
            }
        }
    }
    check(
        "timestamps",
        material.timestamp_verification_data.rfc3161_timestamps.len(),
        TIMESTAMPS,
    )?;
    let entries = &material.tlog_entries;
    check("log entries", entries.len(), LOG_ENTRIES)?;
    for (position, entry) in entries.iter().enumerate() {
        match &entry.inclusion_proof {
            Some(proof) => {
                check("hashes in a proof", proof.hashes.len(), PROOF_HASHES)?;
                let lines = proof.checkpoint.envelope().lines().count();
                check("lines in a checkpoint", lines, CHECKPOINT_LINES)?;
            }
            None if entry.inclusion_promise.is_none() => {
                let source = "an entry has neither an inclusion proof nor a promise".into();
                return Err(Refusal::Log { source });
            }
            None => {}
        }
        let same = |earlier: &&_| {
            let earlier: &sigstore_verify::types::TransparencyLogEntry = earlier;
            earlier.canonicalized_body == entry.canonicalized_body
                || (earlier.log_id == entry.log_id && earlier.log_index == entry.log_index)
        };
        if entries.iter().take(position).find(same).is_some() {
            let index = entry.log_index.get();
            return Err(Refusal::DuplicateEntry { index });
        }
    }
    Ok(())
}

/// Whether a certificate is of the form of a root. Chains must not hold one (sigstore `protobuf-specs`,
/// `X509CertificateChain`): what is trusted is the verifier's to say.
pub(crate) fn is_self_issued(certificate: &DerCertificate) -> Result<bool, Refusal> {
    let what = "certificate chain";
    let parsed = fenced(|| Certificate::from_der(certificate.as_bytes()))
        .map_err(|_| Refusal::Broken { what })?
        .map_err(|error| Refusal::malformed(what, error))?;
    Ok(parsed.tbs_certificate.subject == parsed.tbs_certificate.issuer)
}

/// Whether a token holds a `GeneralizedTime` with fractions of a second, which RFC 3161 allows and DER libraries that only
/// know certificates refuse. A guess for the error message; nothing is decided by it.
pub(crate) fn has_fractional_time(bundle: &Bundle) -> bool {
    let data = &bundle.verification_material.timestamp_verification_data;
    data.rfc3161_timestamps
        .iter()
        .any(|stamp| fractional(&stamp.signed_timestamp))
}

fn fractional(token: &TimestampToken) -> bool {
    const GENERALIZED_TIME: u8 = 0x18;
    token.as_bytes().windows(17).any(|window| {
        window[0] == GENERALIZED_TIME && window[2..16].iter().all(u8::is_ascii_digit) && window[16] == b'.'
    })
}
