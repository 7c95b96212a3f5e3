//! Legacy cosign signatures (tag `sha256-<hex>.sig`): a simple-signing payload as a layer, and on its descriptor the
//! signature, certificate, log entry and timestamp as annotations. They are turned into a bundle of version 0.1 and go
//! through the same checks as any other; nothing of the certificate or log is checked twice in two ways.

mod annotation;
mod payload;

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sigstore_verify::crypto::{KeyAlgorithm, verify_signature};
use sigstore_verify::types::bundle::{
    MediaType, MessageDigest, MessageSignature, TimestampVerificationData, VerificationMaterial,
    VerificationMaterialContent, X509Certificate,
};
use sigstore_verify::types::{
    Artifact, Bundle, DerPublicKey, DigestBytes, HashAlgorithm, PublicKeyIdentifier, SignatureBytes, SignatureContent,
};

use crate::digest::Sha256;
use crate::fence::fenced;
use crate::limits::LEGACY_BYTES;
use crate::refusal::{Refusal, cause};
use crate::requirements::Requirements;
use crate::root::TrustRoot;
use crate::signer::{Content, Proof, Signer};
use crate::verify::{check_counts, keyless_bundle, managed_bundle, read_key};

/// Annotation with the signature in base64, for callers that read manifests.
pub const SIGNATURE_ANNOTATION: &str = "dev.cosignproject.cosign/signature";
/// Media type of the layer that holds the payload.
pub const PAYLOAD_MEDIA_TYPE: &str = "application/vnd.dev.cosign.simplesigning.v1+json";

/// A legacy signature as it lies in a manifest. Nothing of it is proven.
#[derive(Debug, Clone, Copy)]
pub struct LegacySignature<'a> {
    /// The layer's bytes.
    pub payload: &'a [u8],
    /// The signature over them, in base64.
    pub signature: &'a str,
    /// The annotations of the layer's descriptor.
    pub annotations: &'a BTreeMap<String, String>,
}

/// Verifies a keyless legacy signature about the manifest with digest `subject`: certificate chain at the proven time, SCT,
/// signed entry timestamp, and that the logged entry names this payload, signature and certificate.
///
/// Rekor v1 only promises inclusion in this form; where `requirements` ask for a log, the promise is what is checked.
///
/// # Errors
/// Whatever is missing, wrong, too large or not understood is a [`Refusal`].
pub fn keyless(
    signature: &LegacySignature<'_>,
    subject: &Sha256,
    root: &TrustRoot,
    requirements: &Requirements,
) -> Result<Signer, Refusal> {
    let (signed, payload) = read(signature, subject)?;
    let chain = annotation::certificates(signature.annotations)?;
    let certificates = chain.into_iter().map(X509Certificate::new).collect();
    let material = VerificationMaterialContent::X509CertificateChain { certificates };
    let bundle = bundle(signature, signed, material)?;
    let artifact = Artifact::Blob(signature.payload);
    keyless_bundle(&bundle, artifact, *subject, root, requirements, || {
        Ok(content(signature, &payload))
    })
}

/// Verifies a legacy signature by the owner of `public_key` (PEM) about the manifest with digest `subject`.
///
/// With a `root`, there must be a log entry or a timestamp, and what is there must verify. Without one they are not looked
/// at, and the proof names no time and no log.
///
/// # Errors
/// Whatever is missing, wrong, too large or not understood is a [`Refusal`].
pub fn managed_key(
    signature: &LegacySignature<'_>,
    subject: &Sha256,
    public_key: &str,
    root: Option<&TrustRoot>,
) -> Result<Proof, Refusal> {
    let (signed, payload) = read(signature, subject)?;
    let key = read_key(public_key)?;
    let content = content(signature, &payload);
    let Some(root) = root else {
        check_signature(signature.payload, &signed, &key)?;
        return Ok(Proof {
            times: Vec::new(),
            log: Vec::new(),
            sct: false,
            content,
        });
    };
    let material = VerificationMaterialContent::PublicKey(PublicKeyIdentifier::new(String::new()));
    let bundle = bundle(signature, signed, material)?;
    let artifact = Artifact::Blob(signature.payload);
    managed_bundle(&bundle, artifact, *subject, key, root, || Ok(content.clone()))
}

/// Caps and decodes, and checks that the payload is about `subject`.
fn read(signature: &LegacySignature<'_>, subject: &Sha256) -> Result<(SignatureBytes, payload::Payload), Refusal> {
    let cap = |what, bytes| {
        let cap = LEGACY_BYTES;
        if bytes > cap {
            Err(Refusal::TooLarge { what, bytes, cap })
        } else {
            Ok(())
        }
    };
    cap("payload", signature.payload.len())?;
    cap("signature", signature.signature.len())?;
    for (name, value) in signature.annotations {
        cap("annotations", name.len().saturating_add(value.len()))?;
    }
    let payload = payload::read(signature.payload, subject)?;
    let bytes = STANDARD
        .decode(signature.signature)
        .map_err(|error| Refusal::malformed("signature", error))?;
    Ok((SignatureBytes::new(bytes), payload))
}

fn content(signature: &LegacySignature<'_>, payload: &payload::Payload) -> Content {
    Content::SimpleSigning {
        payload: signature.payload.to_vec(),
        docker_reference: payload.docker_reference().to_owned(),
    }
}

/// The bundle that says the same as the annotations.
fn bundle(
    signature: &LegacySignature<'_>,
    signed: SignatureBytes,
    material: VerificationMaterialContent,
) -> Result<Bundle, Refusal> {
    let entries: Vec<_> = annotation::log_entry(signature.annotations)?.into_iter().collect();
    let stamps = annotation::timestamp(signature.annotations)?.into_iter().collect();
    // Version 0.1 is the one that a promise of inclusion suffices for; it needs one. Without a log entry it is 0.2.
    let version = if entries.is_empty() {
        MediaType::Bundle0_2
    } else {
        MediaType::Bundle0_1
    };
    let material = VerificationMaterial::new(material)
        .with_tlog_entries(entries)
        .with_timestamp_verification_data(TimestampVerificationData::new(stamps));
    let digest = DigestBytes::new(Sha256::of(signature.payload).as_bytes().to_vec());
    let message = MessageSignature::new(signed).with_message_digest(MessageDigest::new(HashAlgorithm::Sha2256, digest));
    let bundle = Bundle::new(version, material, SignatureContent::MessageSignature(message));
    check_counts(&bundle)?;
    Ok(bundle)
}

fn check_signature(payload: &[u8], signature: &SignatureBytes, key: &DerPublicKey) -> Result<(), Refusal> {
    let verdict = fenced(|| {
        let scheme = KeyAlgorithm::from_spki(key)?.default_signing_scheme();
        verify_signature(key, payload, signature, scheme)
    });
    verdict
        .map_err(|_| Refusal::Broken { what: "signature" })?
        .map_err(|error| Refusal::Signature { source: cause(error) })
}
