//! What is proven about signatures that are right, and what the requirements change.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::LazyLock;

use dunlin_sigstore::{
    Content, Generation, Identity, Inclusion, LogRequirement, Refusal, Requirements, SctRequirement, Sha256, Signer,
    TimeRequirement, TimeSource, TrustRoot, verify,
};
use dunlin_test_pki::{self as pki, Case, Flaw, Pki};

static PKI: LazyLock<Pki> = LazyLock::new(Pki::new);

fn verify_with(case: &Case<'_>, requirements: &Requirements) -> Result<Signer, Refusal> {
    let signed = case.sign();
    let root = TrustRoot::from_json(&signed.root_json()).unwrap();
    verify::keyless(
        &signed.bundle_json(),
        &Sha256::from(signed.subject),
        &root,
        requirements,
    )
}

fn verified(case: &Case<'_>) -> Signer {
    verify_with(case, &Requirements::default()).unwrap()
}

#[test]
fn a_statement_in_rekor_v2() {
    let signer = verified(
        &PKI.case()
            .predicate("https://slsa.dev/provenance/v1", serde_json::json!({ "a": 1 })),
    );
    let workflow = "https://forge.example.com/acme/models/.ci/release.yml@refs/heads/main";
    assert_eq!(signer.identity, Identity::Uri(workflow.to_owned()));
    assert_eq!(signer.issuer, "https://tokens.forge.example.com");
    assert_eq!(signer.claims.source_repository_ref.as_deref(), Some("refs/heads/main"));
    assert_eq!(
        signer.claims.source_repository_uri.as_deref(),
        Some("https://forge.example.com/acme/models")
    );
    assert_eq!(signer.claims.build_trigger.as_deref(), Some("push"));
    assert_eq!(signer.claims.runner_environment.as_deref(), Some("forge-hosted"));
    assert_eq!(signer.claims.github_workflow_name.as_deref(), Some("release"));
    assert_eq!(signer.claims.deployment_environment, None);
    assert!(signer.proof.sct);
    let [time] = signer.proof.times.as_slice() else {
        panic!("{:?}", signer.proof.times)
    };
    assert_eq!(
        (time.at, time.source),
        (PKI.signed_at(), TimeSource::TimestampAuthority)
    );
    let [entry] = signer.proof.log.as_slice() else {
        panic!("{:?}", signer.proof.log)
    };
    assert_eq!(
        (entry.generation, entry.inclusion, entry.index),
        (Generation::V2, Inclusion::Proven, 5)
    );
    let Content::Statement(statement) = signer.proof.content else {
        panic!("{:?}", signer.proof.content)
    };
    assert_eq!(statement.predicate_type, "https://slsa.dev/provenance/v1");
    let payload: serde_json::Value = serde_json::from_slice(&statement.payload).unwrap();
    assert_eq!(payload["predicate"]["a"], 1);
}

#[test]
fn a_person_in_rekor_v1_with_both_clocks() {
    let case = PKI
        .case()
        .identity(pki::Identity::person())
        .log(pki::Generation::V1)
        .stamped(true);
    let signer = verified(&case);
    assert_eq!(signer.identity, Identity::Email("dev@example.com".to_owned()));
    assert_eq!(signer.claims, dunlin_sigstore::Claims::default());
    let sources: Vec<_> = signer.proof.times.iter().map(|time| time.source).collect();
    assert_eq!(sources, [TimeSource::TimestampAuthority, TimeSource::RekorV1]);
    assert_eq!(signer.proof.log[0].generation, Generation::V1);
    assert_eq!(signer.proof.log[0].inclusion, Inclusion::Proven);
    assert_eq!(signer.proof.log[0].index, 1_005);
}

#[test]
fn names_that_a_terminal_would_obey_are_refused() {
    let mut identity = pki::Identity::workflow();
    identity.san = pki::San::Uri("https://forge.example.com/\u{1b}[2Jacme".to_owned());
    let verdict = verify_with(&PKI.case().identity(identity), &Requirements::default());
    assert!(matches!(verdict, Err(Refusal::Certificate { .. })), "{verdict:?}");
}

#[test]
fn messages_in_both_logs() {
    for generation in [pki::Generation::V1, pki::Generation::V2] {
        let signer = verified(&PKI.case().message().log(generation));
        assert_eq!(signer.proof.content, Content::Message);
    }
}

#[test]
fn another_artifact_is_refused_in_every_form() {
    for case in [PKI.case(), PKI.case().message(), PKI.case().log(pki::Generation::V1)] {
        let signed = case.sign();
        let root = TrustRoot::from_json(&signed.root_json()).unwrap();
        let other = Sha256::of(b"another artifact");
        let verdict = verify::keyless(&signed.bundle_json(), &other, &root, &Requirements::default());
        let refused = matches!(verdict, Err(Refusal::OtherSubject { .. } | Refusal::Signature { .. }));
        assert!(refused, "{verdict:?}");
    }
}

#[test]
fn a_certificate_without_sct_passes_only_where_none_is_asked_for() {
    let case = PKI.case().flaw(Flaw::NoSct);
    let skipped = Requirements {
        sct: SctRequirement::Skipped,
        ..Requirements::default()
    };
    assert!(!verify_with(&case, &skipped).unwrap().proof.sct);
    assert!(verify_with(&case, &Requirements::default()).is_err());
}

#[test]
fn a_log_is_optional_only_where_it_is_said_and_only_if_absent() {
    let optional = Requirements {
        log: LogRequirement::Optional,
        ..Requirements::default()
    };
    let signer = verify_with(&PKI.case().unlogged(), &optional).unwrap();
    assert_eq!(signer.proof.log, []);
    assert_eq!(signer.proof.times.len(), 1);
    assert!(verify_with(&PKI.case().unlogged(), &Requirements::default()).is_err());
    for flaw in [
        Flaw::BrokenInclusionProof,
        Flaw::CheckpointForged,
        Flaw::ForeignLog,
        Flaw::NoInclusionProof,
    ] {
        let verdict = verify_with(&PKI.case().flaw(flaw), &optional);
        assert!(matches!(verdict, Err(Refusal::Log { .. })), "{flaw:?}: {verdict:?}");
    }
}

#[test]
fn the_logs_clock_is_not_a_timestamp_authority() {
    let authority = Requirements {
        time: TimeRequirement::Authority,
        ..Requirements::default()
    };
    let v1 = PKI.case().log(pki::Generation::V1);
    assert!(matches!(verify_with(&v1, &authority), Err(Refusal::NoAuthorityTime)));
    assert!(verify_with(&v1.stamped(true), &authority).is_ok());
    assert!(verify_with(&PKI.case(), &authority).is_ok());
}

#[test]
fn a_key_bundle_is_verified_by_its_key_alone() {
    for case in [
        PKI.case().managed(),
        PKI.case().managed().log(pki::Generation::V1),
        PKI.case().managed().message(),
        PKI.case().managed().unlogged(),
    ] {
        let signed = case.sign();
        let root = TrustRoot::from_json(&signed.root_json()).unwrap();
        let subject = Sha256::from(signed.subject);
        let bundle = signed.bundle_json();
        let proof = verify::managed_key(&bundle, &subject, &signed.public_pem, &root).unwrap();
        assert!(!proof.sct);
        assert!(!proof.times.is_empty() || !proof.log.is_empty());
        let stray = PKI.stray_key().public_pem();
        assert!(verify::managed_key(&bundle, &subject, &stray, &root).is_err());
        let other = Sha256::of(b"another");
        assert!(verify::managed_key(&bundle, &other, &signed.public_pem, &root).is_err());
        assert!(verify::keyless(&bundle, &subject, &root, &Requirements::default()).is_err());
    }
}

#[test]
fn a_key_bundle_without_evidence_is_not_for_this_crate() {
    let signed = PKI.case().managed().unlogged().stamped(false).sign();
    let root = TrustRoot::from_json(&signed.root_json()).unwrap();
    let subject = Sha256::from(signed.subject);
    let verdict = verify::managed_key(&signed.bundle_json(), &subject, &signed.public_pem, &root);
    assert!(matches!(verdict, Err(Refusal::NoEvidence { .. })), "{verdict:?}");
}

#[test]
fn flaws_of_log_and_clock_spoil_key_bundles_too() {
    for flaw in [
        Flaw::ForeignLog,
        Flaw::BrokenInclusionProof,
        Flaw::CheckpointForged,
        Flaw::CheckpointBadKeyHint,
        Flaw::CheckpointOtherTree,
        Flaw::ReplayedLogEntry,
        Flaw::DuplicateLogEntry,
        Flaw::EntryOtherSignature,
        Flaw::EntryOtherDigest,
        Flaw::StampForged,
        Flaw::StampByForeignAuthority,
        Flaw::FlippedPayload,
        Flaw::StatementAboutOther,
        Flaw::StatementOfUnknownType,
        Flaw::StatementWithoutType,
    ] {
        let signed = PKI.case().managed().flaw(flaw).sign();
        let root = TrustRoot::from_json(&signed.root_json()).unwrap();
        let subject = Sha256::from(signed.subject);
        let verdict = verify::managed_key(&signed.bundle_json(), &subject, &signed.public_pem, &root);
        assert!(verdict.is_err(), "{flaw:?}: {verdict:?}");
    }
}

#[test]
fn roots_are_hashed_by_what_they_say() {
    let root = PKI.root_json();
    let value: serde_json::Value = serde_json::from_slice(&root).unwrap();
    let hash = |bytes: &[u8]| *TrustRoot::from_json(bytes).unwrap().hash();
    assert_eq!(
        hash(&root),
        hash(serde_json::to_string_pretty(&value).unwrap().as_bytes())
    );
    let mut ended = value.clone();
    ended["tlogs"][0]["publicKey"]["validFor"]["end"] = "2040-01-01T00:00:00Z".into();
    assert_ne!(hash(&root), hash(ended.to_string().as_bytes()));
    assert_ne!(hash(&root), hash(&Pki::new().root_json()));
    TrustRoot::public_good().unwrap();
}
