//! Signatures under cosign's legacy tags: read from memory, kept in the store among the referrers.
#![allow(clippy::unwrap_used, reason = "tests")]

mod fixture;
mod sigstore;

use dunlin_models::key::KeyPair;
use dunlin_models::verify::{SignatureForm, SignatureSource as _};
use dunlin_models::{Descriptor, Store};
use dunlin_test_pki::{Case, Flaw, Generation, simple_signing};
use fixture::{key, module, store};
use serde_json::json;
use sigstore::{Given, MANIFEST, PKI, descriptor, key_of, refusal, verifier, verify, workflow};

fn case() -> Case<'static> {
    let payload = simple_signing(descriptor().digest.as_bytes());
    PKI.case().artifact(&payload).message().log(Generation::V1)
}

fn given(case: &Case<'_>, keyless: bool) -> Given {
    let signature = case.sign().legacy(keyless);
    Given {
        forms: vec![SignatureForm::SimpleSigning {
            payload: signature.payload,
            signature: signature.signature,
            annotations: signature.annotations,
        }],
        manifest: MANIFEST.to_vec(),
        history: None,
    }
}

#[test]
fn a_certificate_counts_with_its_promise() {
    let verifier = verifier(&json!({"keyless": workflow()}));
    verify(&verifier, &given(&case(), true)).unwrap();
    for flaw in [
        Flaw::ExpiredCertificate,
        Flaw::SetForged,
        Flaw::ReplayedLogEntry,
        Flaw::NoLogEntry,
        Flaw::NoSct,
    ] {
        assert!(verify(&verifier, &given(&case().flaw(flaw), true)).is_err(), "{flaw:?}");
    }
    assert!(verify(&verifier, &given(&case().managed(), false)).is_err());
}

#[test]
fn another_subject_is_refused() {
    let payload = simple_signing(&[7; 32]);
    let other = PKI.case().artifact(&payload).message().log(Generation::V1);
    let reason = refusal(&verifier(&json!({"keyless": workflow()})), &given(&other, true));
    assert!(reason.contains("not about"), "{reason}");
}

#[test]
fn a_key_counts_bare_unless_a_log_is_asked_for() {
    let signed = case().managed().sign();
    let key = key_of(&signed.public_pem);
    let mut logged = signed.legacy(false);
    let form = |signature: &dunlin_test_pki::LegacySignature| Given {
        forms: vec![SignatureForm::SimpleSigning {
            payload: signature.payload.clone(),
            signature: signature.signature.clone(),
            annotations: signature.annotations.clone(),
        }],
        manifest: MANIFEST.to_vec(),
        history: None,
    };
    let required = json!({"key": {"inline": {"pem": signed.public_pem}, "transparencyLog": "required"}});
    verify(&verifier(&json!({ "key": key })), &form(&logged)).unwrap();
    verify(&verifier(&required), &form(&logged)).unwrap();
    logged.annotations.clear();
    verify(&verifier(&json!({ "key": key })), &form(&logged)).unwrap();
    assert!(verify(&verifier(&required), &form(&logged)).is_err());
    let stray = json!({"key": key_of(&PKI.stray_key().public_pem())});
    assert!(verify(&verifier(&stray), &form(&logged)).is_err());
}

/// Puts a legacy signature by `key` into the index of a layout, as cosign's `save` of old did.
fn legacy_layout(store: &Store, subject: &Descriptor, key: &KeyPair) {
    use base64::Engine as _;
    let payload = simple_signing(subject.digest.as_bytes());
    let signature = base64::engine::general_purpose::STANDARD.encode(key.sign(&payload).unwrap());
    let layer = store
        .put_bytes("application/vnd.dev.cosign.simplesigning.v1+json", &payload)
        .unwrap()
        .annotated("dev.cosignproject.cosign/signature", &signature);
    let config = store
        .put_bytes("application/vnd.oci.image.config.v1+json", b"{}")
        .unwrap();
    let manifest = dunlin_models::manifest::Manifest::new(config, vec![layer]);
    let bytes = serde_json::to_vec(&manifest).unwrap();
    let stored = store.put_bytes(dunlin_models::media_type::MANIFEST, &bytes).unwrap();
    let tag = format!("demo/echo:{}.sig", subject.digest.referrers_tag());
    store.tag(&tag.parse().unwrap(), &stored).unwrap();
}

#[test]
fn tags_in_a_store_are_found() {
    let (_folder, store) = store();
    let subject = module(&store);
    let key = key();
    assert!(store.candidates(&subject.digest).unwrap().is_empty());
    legacy_layout(&store, &subject, &key);
    let verifier = verifier(&json!({"key": key_of(&key.public().to_pem())}));
    verifier
        .verify(&store, &fixture::reference("demo/echo"), &subject)
        .unwrap();
}

#[test]
fn what_a_layout_has_under_legacy_tags_is_imported_as_a_referrer() {
    let ((_other, layout), (_folder, store)) = (store(), store());
    let subject = module(&layout);
    let key = key();
    legacy_layout(&layout, &subject, &key);
    layout.tag(&fixture::reference("demo/echo:v1"), &subject).unwrap();
    store
        .import_layout(layout.root(), &Default::default(), &|_| {})
        .unwrap();
    assert_eq!(store.referrers(&subject.digest).unwrap().len(), 1);
    assert_eq!(store.list().unwrap().len(), 1);
    let verifier = verifier(&json!({"key": key_of(&key.public().to_pem())}));
    verifier
        .verify(&store, &fixture::reference("demo/echo:v1"), &subject)
        .unwrap();
}
