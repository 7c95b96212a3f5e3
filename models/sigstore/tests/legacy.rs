//! Legacy cosign signatures: with a certificate, with a key, and every way in which their annotations can lie.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dunlin_sigstore::legacy::{self, LegacySignature};
use dunlin_sigstore::{
    Content, Inclusion, LogRequirement, Refusal, Requirements, Sha256, Signer, TimeSource, TrustRoot,
};
use dunlin_test_pki::{self as pki, Case, Flaw, Generation, Pki, simple_signing};

static PKI: LazyLock<Pki> = LazyLock::new(Pki::new);

fn subject() -> Sha256 {
    Sha256::of(b"a manifest")
}

fn case() -> Case<'static> {
    PKI.case()
        .artifact(&simple_signing(subject().as_bytes()))
        .message()
        .log(Generation::V1)
}

fn borrowed(signature: &pki::LegacySignature) -> LegacySignature<'_> {
    LegacySignature {
        payload: &signature.payload,
        signature: &signature.signature,
        annotations: &signature.annotations,
    }
}

fn verify_keyless(case: &Case<'_>, requirements: &Requirements) -> Result<Signer, Refusal> {
    let signed = case.sign();
    let root = TrustRoot::from_json(&signed.root_json()).unwrap();
    legacy::keyless(&borrowed(&signed.legacy(true)), &subject(), &root, requirements)
}

/// The usual signature after `change` on its parts.
fn changed(change: impl Fn(&mut pki::LegacySignature)) -> Result<Signer, Refusal> {
    let signed = case().sign();
    let root = TrustRoot::from_json(&signed.root_json()).unwrap();
    let mut signature = signed.legacy(true);
    change(&mut signature);
    legacy::keyless(&borrowed(&signature), &subject(), &root, &Requirements::default())
}

#[test]
fn a_keyless_signature_is_proven_by_its_promise() {
    let signer = verify_keyless(&case(), &Requirements::default()).unwrap();
    assert_eq!(signer.issuer, pki::Identity::workflow().issuer);
    assert!(signer.proof.sct);
    assert_eq!(signer.proof.times[0].source, TimeSource::RekorV1);
    assert_eq!(signer.proof.log[0].inclusion, Inclusion::Promised);
    let Content::SimpleSigning {
        payload,
        docker_reference,
    } = signer.proof.content
    else {
        panic!("not a payload")
    };
    assert_eq!(docker_reference, "registry.test/models/a");
    assert_eq!(payload, simple_signing(subject().as_bytes()));
}

#[test]
fn a_timestamp_counts_beside_or_instead_of_the_log() {
    let both = verify_keyless(&case().stamped(true), &Requirements::default()).unwrap();
    assert_eq!(both.proof.times.len(), 2);
    let stamp_only = case().unlogged().stamped(true);
    let optional = Requirements {
        log: LogRequirement::Optional,
        ..Requirements::default()
    };
    assert_eq!(verify_keyless(&stamp_only, &optional).unwrap().proof.log, []);
    assert!(verify_keyless(&stamp_only, &Requirements::default()).is_err());
}

#[test]
fn a_key_signature_needs_no_root_and_uses_one_that_is_given() {
    let signed = case().managed().sign();
    let root = TrustRoot::from_json(&signed.root_json()).unwrap();
    let logged = signed.legacy(false);
    let mut bare = logged.clone();
    bare.annotations.clear();
    let check = |signature: &pki::LegacySignature, key: &str, root: Option<&TrustRoot>| {
        legacy::managed_key(&borrowed(signature), &subject(), key, root)
    };
    let key = &signed.public_pem;
    assert_eq!(check(&bare, key, None).unwrap().times, []);
    assert_eq!(
        check(&logged, key, Some(&root)).unwrap().times[0].source,
        TimeSource::RekorV1
    );
    let evidence = check(&bare, key, Some(&root));
    assert!(matches!(evidence, Err(Refusal::NoEvidence { .. })), "{evidence:?}");
    let stray = PKI.stray_key().public_pem();
    for (signature, root) in [(&bare, None), (&logged, None), (&logged, Some(&root))] {
        let verdict = check(signature, &stray, root);
        assert!(matches!(verdict, Err(Refusal::Signature { .. })), "{verdict:?}");
    }
    let other = Sha256::of(b"another");
    let verdict = legacy::managed_key(&borrowed(&bare), &other, key, None);
    assert!(matches!(verdict, Err(Refusal::OtherSubject { .. })), "{verdict:?}");
}

#[test]
fn flaws_of_the_certificate_log_and_clock_are_refused() {
    for flaw in [
        Flaw::ExpiredCertificate,
        Flaw::NotYetValidCertificate,
        Flaw::ForeignAuthority,
        Flaw::WrongUsage,
        Flaw::NoIdentity,
        Flaw::SwappedCertificate,
        Flaw::NoSct,
        Flaw::ForeignCtLog,
        Flaw::SctForOtherIssuer,
        Flaw::AuthorityEnded,
        Flaw::NoLogEntry,
        Flaw::ReplayedLogEntry,
        Flaw::EntryOtherCertificate,
        Flaw::EntryOtherSignature,
        Flaw::EntryOtherDigest,
        Flaw::ForeignLog,
        Flaw::LogKeyEnded,
        Flaw::NegativeLogIndex,
        Flaw::SetForged,
        Flaw::SetOverOtherBody,
        Flaw::IntegratedTimeMoved,
        Flaw::IntegratedTimeInFuture,
        Flaw::IntegratedTimeAfterCertificate,
        Flaw::FlippedSignature,
    ] {
        let verdict = verify_keyless(&case().flaw(flaw), &Requirements::default());
        assert!(verdict.is_err(), "{flaw:?}: {verdict:?}");
    }
    for flaw in [
        Flaw::StampForged,
        Flaw::StampOfOtherSignature,
        Flaw::StampByForeignAuthority,
        Flaw::FractionalStamp,
    ] {
        let verdict = verify_keyless(&case().stamped(true).flaw(flaw), &Requirements::default());
        assert!(verdict.is_err(), "{flaw:?}: {verdict:?}");
    }
}

#[test]
fn the_payload_is_bound_to_subject_and_signature() {
    let other = changed(|signature| signature.payload = simple_signing(Sha256::of(b"another").as_bytes()));
    assert!(matches!(other, Err(Refusal::OtherSubject { .. })), "{other:?}");
    // About the subject, but not what was signed.
    let reworded = changed(|signature| {
        let text = String::from_utf8(signature.payload.clone()).unwrap();
        signature.payload = text.replace("team", "crew").into_bytes();
    });
    assert!(reworded.is_err(), "{reworded:?}");
    let spaced = changed(|signature| signature.payload.push(b' '));
    assert!(spaced.is_err(), "{spaced:?}");
}

#[test]
fn annotations_that_are_missing_or_broken_are_refused() {
    let set = |name: &'static str, value: String| {
        changed(move |signature| {
            signature
                .annotations
                .insert(format!("dev.sigstore.cosign/{name}"), value.clone());
        })
    };
    let missing = changed(|signature| {
        signature.annotations.remove("dev.sigstore.cosign/certificate");
    });
    assert!(matches!(missing, Err(Refusal::MissingAnnotation { .. })), "{missing:?}");
    for (name, value) in [
        ("certificate", "not PEM".to_owned()),
        ("certificate", String::new()),
        ("chain", "not PEM".to_owned()),
        ("bundle", "{}".to_owned()),
        ("bundle", "[".repeat(1_000)),
        (
            "bundle",
            r#"{"SignedEntryTimestamp":"","Payload":{"body":"","integratedTime":1,"logIndex":1,"logID":""},"more":1}"#
                .to_owned(),
        ),
        ("rfc3161timestamp", r#"{"SignedRFC3161Timestamp":"***"}"#.to_owned()),
    ] {
        let verdict = set(name, value);
        assert!(matches!(verdict, Err(Refusal::Malformed { .. })), "{name}: {verdict:?}");
    }
    let huge = set("bundle", " ".repeat(1 << 20));
    assert!(matches!(huge, Err(Refusal::TooLarge { .. })), "{huge:?}");
    // Empty where there is nothing to say: then there is no log entry.
    for nothing in ["", "null"] {
        let verdict = set("bundle", nothing.to_owned());
        assert!(matches!(verdict, Err(Refusal::Log { .. })), "{verdict:?}");
    }
    let long_chain = changed(|signature| {
        let chain = signature.annotations["dev.sigstore.cosign/chain"].repeat(20);
        signature
            .annotations
            .insert("dev.sigstore.cosign/chain".to_owned(), chain);
    });
    assert!(matches!(long_chain, Err(Refusal::TooMany { .. })), "{long_chain:?}");
    let two = changed(|signature| {
        let leaf = signature.annotations["dev.sigstore.cosign/certificate"].repeat(2);
        signature
            .annotations
            .insert("dev.sigstore.cosign/certificate".to_owned(), leaf);
    });
    assert!(matches!(two, Err(Refusal::Malformed { .. })), "{two:?}");
}

#[test]
fn a_signature_that_is_not_base64_is_refused() {
    let verdict = changed(|signature| signature.signature.push('*'));
    assert!(matches!(verdict, Err(Refusal::Malformed { .. })), "{verdict:?}");
    let verdict = changed(|signature| signature.signature = STANDARD.encode(b"short"));
    assert!(verdict.is_err(), "{verdict:?}");
}
