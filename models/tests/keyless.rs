//! Keyless requirements: who may sign, by which root, and every way to be somebody else.
#![allow(clippy::unwrap_used, reason = "tests")]

mod fixture;
mod sigstore;

use dunlin_models::verify::{MAX_SIGNATURES, SignatureForm, Verdict, VerifyError};
use dunlin_test_pki::{Case, Flaw, Identity, Pki};
use serde_json::{Value, json};
use sigstore::{Given, MANIFEST, PKI, case, explain, key_of, parse, policy_of, refusal, verifier, verify, workflow};

fn given(case: &Case<'_>) -> Given {
    Given::bundles(&[case.sign().bundle_json()])
}

fn require(changes: &Value) -> Value {
    let mut keyless = workflow();
    for (name, value) in changes.as_object().unwrap() {
        keyless[name] = value.clone();
    }
    json!({ "keyless": keyless })
}

/// Refuses the case under the usual requirement; returns why.
fn refused(case: &Case<'_>) -> String {
    refusal(&verifier(&require(&json!({}))), &given(case))
}

#[test]
fn a_workflow_that_the_policy_names_may_sign() {
    let claims = json!({"claims": {"ref": "refs/heads/*", "repository": "acme/*", "trigger": "push",
        "sourceRepositoryOwnerURI": "https://forge.example.com/acme"}});
    let verified = verify(&verifier(&require(&claims)), &given(&case())).unwrap();
    let Verdict::Signed { rule, keys } = verified.verdict() else {
        panic!("{:?}", verified.verdict())
    };
    assert_eq!((rule.as_str(), keys.len()), ("all", 1));
    assert!(
        keys[0].ends_with("@refs/heads/main (https://tokens.forge.example.com)"),
        "{keys:?}"
    );
    verify(&verifier(&require(&json!({}))), &given(&case().message())).unwrap();
}

#[test]
fn another_identity_is_refused() {
    let other = require(&json!({"identity": "https://forge.example.com/acme/other/**"}));
    assert!(
        refusal(&verifier(&other), &given(&case())).contains("it was made by https://forge.example.com/acme/models")
    );
    assert!(refused(&case().identity(Identity::person())).contains("dev@example.com"));
}

#[test]
fn another_issuer_is_refused() {
    let other = require(&json!({"issuer": "https://tokens.forge.example.com.evil.example"}));
    assert!(refusal(&verifier(&other), &given(&case())).contains("vouches for its signer"));
}

#[test]
fn patterns_do_not_cross_slashes_unasked() {
    let other = require(&json!({"identity": "https://forge.example.com/*"}));
    assert!(refusal(&verifier(&other), &given(&case())).contains("it was made by"));
    verify(
        &verifier(&require(&json!({"identity": "https://forge.example.com/**"}))),
        &given(&case()),
    )
    .unwrap();
}

#[test]
fn another_claim_and_an_absent_one_are_refused() {
    for claims in [json!({"ref": "refs/tags/*"}), json!({"deploymentEnvironment": "**"})] {
        let verifier = verifier(&require(&json!({ "claims": claims })));
        assert!(refusal(&verifier, &given(&case())).contains("its claim"));
    }
}

#[test]
fn another_root_is_refused() {
    let root = Pki::new().root_json();
    let policy = policy_of(&root, &require(&json!({})), &json!({}), &json!({}));
    let reason = refusal(&dunlin_models::Verifier::new(parse(&policy)), &given(&case()));
    assert!(reason.contains("trusted"), "{reason}");
}

#[test]
fn a_root_whose_authority_or_log_has_ended_is_refused() {
    for flaw in [
        Flaw::AuthorityEnded,
        Flaw::CtKeyEnded,
        Flaw::StampAuthorityEnded,
        Flaw::RootWithoutAuthority,
    ] {
        let signed = case().flaw(flaw).sign();
        let policy = policy_of(&signed.root_json(), &require(&json!({})), &json!({}), &json!({}));
        let verifier = dunlin_models::Verifier::new(parse(&policy));
        assert!(
            verify(&verifier, &Given::bundles(&[signed.bundle_json()])).is_err(),
            "{flaw:?}"
        );
    }
}

#[test]
fn a_bare_key_is_no_identity() {
    assert!(refused(&case().managed()).contains("bare key"));
    assert!(refused(&case().managed().unlogged().stamped(false)).contains("bare key"));
}

#[test]
fn a_certificate_is_no_key() {
    let signed = case().sign();
    let require = json!({"key": key_of(&signed.public_pem)});
    let reason = refusal(&verifier(&require), &Given::bundles(&[signed.bundle_json()]));
    assert!(reason.contains("made with a certificate"), "{reason}");
}

#[test]
fn replay_onto_another_artifact_is_refused() {
    let replayed = PKI.case().artifact(b"another manifest").sign().bundle_json();
    let reason = refusal(&verifier(&require(&json!({}))), &Given::bundles(&[replayed]));
    assert!(reason.contains("not about"), "{reason}");
}

#[test]
fn truncated_bundles_are_refused_at_every_length() {
    let bundle = case().sign().bundle_json();
    let verifier = verifier(&require(&json!({})));
    for length in (0..bundle.len()).step_by(509) {
        let cut = bundle.get(..length).unwrap().to_vec();
        assert!(verify(&verifier, &Given::bundles(&[cut])).is_err(), "{length}");
    }
}

#[test]
fn a_bundle_that_says_two_things_is_refused() {
    let mut signed = case().sign();
    signed.bundle["messageSignature"] = case().message().sign().bundle["messageSignature"].clone();
    let reason = refusal(
        &verifier(&require(&json!({}))),
        &Given::bundles(&[signed.bundle_json()]),
    );
    assert!(
        reason.contains("no DSSE envelope") || reason.contains("not a Sigstore bundle"),
        "{reason}"
    );
}

macro_rules! flaws {
    ($($name:ident: $flaw:ident, $reason:literal;)*) => {$(
        #[test]
        fn $name() {
            let reason = refused(&PKI.flawed(Flaw::$flaw).artifact(MANIFEST));
            assert!(reason.contains($reason), "{reason}");
        }
    )*};
}

flaws! {
    an_expired_certificate_is_refused: ExpiredCertificate, "certificate";
    a_certificate_from_the_future_is_refused: NotYetValidCertificate, "certificate";
    a_foreign_authority_is_refused: ForeignAuthority, "not trusted";
    a_certificate_for_something_else_is_refused: WrongUsage, "certificate";
    a_swapped_certificate_is_refused: SwappedCertificate, "";
    a_missing_sct_is_refused: NoSct, "";
    a_missing_log_entry_is_refused: NoLogEntry, "log";
    a_log_entry_of_another_artifact_is_refused: ReplayedLogEntry, "";
    a_foreign_log_is_refused: ForeignLog, "log";
    a_forged_timestamp_is_refused: StampForged, "clock";
    a_signature_without_time_is_refused: NoTime, "";
    a_flipped_signature_is_refused: FlippedSignature, "";
    a_flipped_payload_is_refused: FlippedPayload, "";
    a_forged_promise_is_refused: SetForged, "";
}

#[test]
fn weaker_evidence_counts_only_where_the_policy_says_so() {
    let skipped = verifier(&require(&json!({"sct": "skipped"})));
    verify(&skipped, &given(&case().flaw(Flaw::NoSct))).unwrap();
    let optional = verifier(&require(&json!({"transparencyLog": "optional"})));
    verify(&optional, &given(&case().unlogged())).unwrap();
    assert!(verify(&optional, &given(&case().flaw(Flaw::ForeignLog))).is_err());
}

#[test]
fn a_key_whose_signatures_must_be_logged() {
    let signed = case().managed().sign();
    let logged = json!({"key": {"inline": {"pem": signed.public_pem}, "transparencyLog": "required"}});
    verify(&verifier(&logged), &Given::bundles(&[signed.bundle_json()])).unwrap();
    let mut bare = signed.bundle.clone();
    bare["verificationMaterial"]["tlogEntries"] = json!([]);
    bare["verificationMaterial"]["timestampVerificationData"] = json!({});
    let bare = Given::bundles(&[bare.to_string().into_bytes()]);
    assert!(refusal(&verifier(&logged), &bare).contains("neither a log entry nor a timestamp"));
    verify(&verifier(&json!({"key": key_of(&signed.public_pem)})), &bare).unwrap();
    let unlogged = case().managed().unlogged().sign();
    let key = json!({"key": {"inline": {"pem": unlogged.public_pem}, "transparencyLog": "required"}});
    let reason = refusal(&verifier(&key), &Given::bundles(&[unlogged.bundle_json()]));
    assert!(reason.contains("in no transparency log"), "{reason}");
}

#[test]
fn evidence_that_a_key_signature_brings_must_be_right_where_a_root_is_named() {
    let signed = case().managed().flaw(Flaw::ForeignLog).sign();
    let key = json!({"key": {"inline": {"pem": signed.public_pem}, "trustRoot": "test"}});
    assert!(verify(&verifier(&key), &Given::bundles(&[signed.bundle_json()])).is_err());
}

#[test]
fn a_key_signature_over_the_manifest_itself() {
    let signed = case().managed().message().unlogged().stamped(false).sign();
    let verifier = verifier(&json!({"key": key_of(&signed.public_pem)}));
    let mut given = Given::bundles(&[signed.bundle_json()]);
    verify(&verifier, &given).unwrap();
    given.manifest = b"something else".to_vec();
    assert!(refusal(&verifier, &given).contains("not at hand"));
}

#[test]
fn one_identity_is_one_of_a_threshold() {
    let twice = [case().sign().bundle_json(), case().sign().bundle_json()];
    let wide = json!({"issuer": "https://tokens.forge.example.com", "identity": "https://forge.example.com/**"});
    let two = json!({"threshold": {"count": 2, "of": [require(&json!({})), {"keyless": wide}]}});
    let error = verify(&verifier(&two), &Given::bundles(&twice)).unwrap_err();
    assert!(matches!(error, VerifyError::Unsatisfied { .. }), "{error}");
    let person = json!({"keyless": {"issuer": "https://issuer.example.com", "identity": "dev@example.com"}});
    let two = json!({"threshold": {"count": 2, "of": [require(&json!({})), person]}});
    let both = [
        case().sign().bundle_json(),
        case().identity(Identity::person()).sign().bundle_json(),
    ];
    verify(&verifier(&two), &Given::bundles(&both)).unwrap();
}

#[test]
fn more_signatures_than_are_looked_at_can_only_deny() {
    let good = SignatureForm::Bundle(case().sign().bundle_json());
    let mut given = given(&case().identity(Identity::person()));
    given.forms = vec![given.forms[0].clone(); MAX_SIGNATURES];
    given.forms.push(good);
    let error = verify(&verifier(&require(&json!({}))), &given).unwrap_err();
    assert_eq!(error.explain().len(), MAX_SIGNATURES);
}

#[test]
fn the_explanation_names_rule_signer_and_reason() {
    let verifier = verifier(&json!({"any": [require(&json!({})), {"key": key_of(&PKI.stray_key().public_pem())}]}));
    let good = explain(&verifier, &given(&case()));
    assert!(
        good.admitted && good.rules[0].matched && good.signed_at.is_some(),
        "{good:?}"
    );
    let tree = good.requirement.unwrap();
    assert_eq!((tree.met, tree.of[0].met, tree.of[1].met), (true, true, false));
    assert!(good.candidates[0].counted && good.candidates[0].identities[0].contains("acme/models"));
    let bad = explain(&verifier, &given(&case().identity(Identity::person())));
    assert!(!bad.admitted && bad.reason.is_some());
    assert_eq!(
        bad.candidates[0].identities,
        ["dev@example.com (https://issuer.example.com)"]
    );
    assert_eq!(bad.candidates[0].reasons.len(), 2, "{bad:?}");
    let json = serde_json::to_value(&bad).unwrap();
    assert_eq!(
        json["candidates"][0]["predicateType"],
        "https://sigstore.dev/cosign/sign/v1"
    );
}
