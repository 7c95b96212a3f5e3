//! Verification of Sigstore bundles (versions 0.1 to 0.3) against a trusted root: [`keyless`] and [`managed_key`].
//!
//! The artifact is given by its digest alone. The dependency checks signatures, certificates, logs and clocks; this module
//! caps what it is given, refuses what it would let pass as harmless, and says what was proven.

mod admission;
mod outcome;

use sigstore_verify::types::{Artifact, Bundle, DerPublicKey, Sha256Hash};
use sigstore_verify::{Policy, PublicKeyVerificationPolicy, VerificationPolicy, VerificationResult};

use crate::digest::Sha256;
use crate::fence::fenced;
use crate::limits::PUBLIC_KEY_BYTES;
use crate::refusal::Refusal;
use crate::requirements::{LogRequirement, Requirements, SctRequirement, TimeRequirement};
use crate::root::TrustRoot;
use crate::signer::{Content, Proof, Signer, TimeSource};

use admission::has_fractional_time;
pub(crate) use admission::{admit, check_counts, is_self_issued};
use outcome::signer;

/// Verifies a keyless bundle about the artifact with digest `subject`: signature, certificate chain at every proven signing
/// time, SCT, log entries (proofs, checkpoints, promises, bodies), timestamps, and the statement's subjects.
///
/// Returns who signed; whether that signer may is the caller's to decide.
///
/// # Errors
/// Whatever is missing, wrong, too large or not understood is a [`Refusal`].
pub fn keyless(
    bundle: &[u8],
    subject: &Sha256,
    root: &TrustRoot,
    requirements: &Requirements,
) -> Result<Signer, Refusal> {
    let bundle = admit(bundle)?;
    let artifact = Artifact::from(Sha256Hash::new(*subject.as_bytes()));
    keyless_bundle(&bundle, artifact, *subject, root, requirements, || {
        outcome::content(&bundle)
    })
}

/// Verifies a bundle whose signature was made by the owner of `public_key` (PEM), and which has a log entry, a timestamp or
/// both; what is there must verify against `root`. Bundles without either are not for this crate.
///
/// # Errors
/// Whatever is missing, wrong, too large or not understood is a [`Refusal`].
pub fn managed_key(bundle: &[u8], subject: &Sha256, public_key: &str, root: &TrustRoot) -> Result<Proof, Refusal> {
    let bundle = admit(bundle)?;
    let artifact = Artifact::from(Sha256Hash::new(*subject.as_bytes()));
    let key = read_key(public_key)?;
    managed_bundle(&bundle, artifact, *subject, key, root, || outcome::content(&bundle))
}

/// As [`keyless`], over an admitted bundle.
pub(crate) fn keyless_bundle(
    bundle: &Bundle,
    artifact: Artifact<'_>,
    subject: Sha256,
    root: &TrustRoot,
    requirements: &Requirements,
    content: impl Fn() -> Result<Content, Refusal>,
) -> Result<Signer, Refusal> {
    let logged = !bundle.verification_material.tlog_entries.is_empty();
    let mut policy = VerificationPolicy::any_identity();
    if requirements.sct == SctRequirement::Skipped {
        policy = policy.skip_sct();
    }
    // Only where there is nothing to check: an entry that is there is verified in full.
    if requirements.log == LogRequirement::Optional && !logged {
        policy = policy.skip_tlog_unsafe();
    }
    let result = run(bundle, artifact, subject, root, &policy)?;
    let proof = checked_proof(bundle, &result, content()?, root)?;
    let by_authority = |time: &crate::signer::SigningTime| time.source == TimeSource::TimestampAuthority;
    if requirements.time == TimeRequirement::Authority && !proof.times.iter().any(by_authority) {
        return Err(Refusal::NoAuthorityTime);
    }
    signer(&result, proof)
}

/// As [`managed_key`], over an admitted bundle.
pub(crate) fn managed_bundle(
    bundle: &Bundle,
    artifact: Artifact<'_>,
    subject: Sha256,
    key: DerPublicKey,
    root: &TrustRoot,
    content: impl Fn() -> Result<Content, Refusal>,
) -> Result<Proof, Refusal> {
    let material = &bundle.verification_material;
    let stamped = !material.timestamp_verification_data.rfc3161_timestamps.is_empty();
    if material.tlog_entries.is_empty() && !stamped {
        return Err(Refusal::NoEvidence { what: "bundle" });
    }
    let mut policy = PublicKeyVerificationPolicy::new(key);
    if material.tlog_entries.is_empty() {
        policy = policy.skip_tlog_unsafe();
    }
    let result = run(bundle, artifact, subject, root, &policy)?;
    checked_proof(bundle, &result, content()?, root)
}

fn checked_proof(
    bundle: &Bundle,
    result: &VerificationResult,
    content: Content,
    root: &TrustRoot,
) -> Result<Proof, Refusal> {
    fenced(|| outcome::proof(bundle, result, content, root)).map_err(|_| Refusal::Broken { what: "bundle" })?
}

/// The dependency's verdict, behind the fence.
fn run(
    bundle: &Bundle,
    artifact: Artifact<'_>,
    subject: Sha256,
    root: &TrustRoot,
    policy: &dyn Policy,
) -> Result<VerificationResult, Refusal> {
    fenced(|| root.verifier().verify(artifact, bundle, policy))
        .map_err(|_| Refusal::Broken { what: "bundle" })?
        .map_err(|error| Refusal::from_verdict(error, subject, has_fractional_time(bundle)))
}

/// A public key in PEM.
pub(crate) fn read_key(pem: &str) -> Result<DerPublicKey, Refusal> {
    if pem.len() > PUBLIC_KEY_BYTES {
        return Err(Refusal::TooLarge {
            what: "public key",
            bytes: pem.len(),
            cap: PUBLIC_KEY_BYTES,
        });
    }
    DerPublicKey::from_pem(pem).map_err(|error| Refusal::malformed("public key", error))
}
