//! Time: no signature from the future, none that is too old, and nothing older than what was accepted before.
#![allow(clippy::unwrap_used, reason = "tests")]

mod fixture;
mod sigstore;

use std::path::Path;

use dunlin_models::descriptor::Annotations;
use dunlin_models::key::KeyPair;
use dunlin_models::pack::{self, ModuleSpec};
use dunlin_models::verify::{TrustPolicy, VerifyError};
use dunlin_models::{Descriptor, Store, Verifier, sign};
use fixture::{MODULE, key, policy, policy_text, reference, store};
use serde_json::{Value, json};
use sigstore::{Given, PKI, case, parse, policy_of, verify, workflow};

/// A module that differs by its title, signed at `signed_at`.
fn module(store: &Store, title: &str, key: &KeyPair, signed_at: &str) -> Descriptor {
    let spec = ModuleSpec {
        wasm: MODULE.to_vec(),
        title: title.to_owned(),
        ..ModuleSpec::default()
    };
    let descriptor = pack::pack_module(store, spec).unwrap();
    let annotations = Annotations::from([("dev.dunlin.signed-at".to_owned(), signed_at.to_owned())]);
    sign::sign(store, &descriptor, key, &annotations).unwrap();
    descriptor
}

fn demo(verifier: &Verifier, store: &Store, descriptor: &Descriptor) -> Result<(), VerifyError> {
    verifier.verify(store, &reference("demo/echo:v1"), descriptor).map(drop)
}

#[test]
fn an_older_artifact_does_not_follow_a_newer_one() {
    let ((_folder, store), key) = (store(), key());
    let old = module(&store, "old.wasm", &key, "2026-01-01T00:00:00Z");
    let new = module(&store, "new.wasm", &key, "2026-02-01T00:00:00Z");
    let verifier = Verifier::new(policy(&key));
    demo(&verifier, &store, &old).unwrap();
    demo(&verifier, &store, &new).unwrap();
    demo(&verifier, &store, &new).unwrap();
    let error = demo(&verifier, &store, &old).unwrap_err();
    assert!(matches!(error, VerifyError::Downgrade { .. }), "{error}");
    assert!(
        error.to_string().contains("2026-01-01") && error.hint().is_some(),
        "{error}"
    );
    assert!(!verifier.explain(&store, &reference("demo/echo:v1"), &old).admitted);
    // Another name, and the digest itself, are other questions.
    verifier.verify(&store, &reference("demo/echo:v0"), &old).unwrap();
    let pinned = reference("demo/echo:v1").with_digest(old.digest);
    verifier.verify(&store, &pinned, &old).unwrap();
    // Asked for, it may; and then it stays.
    demo(&verifier.clone().allow_downgrade(true), &store, &old).unwrap();
    demo(&verifier, &store, &old).unwrap();
    demo(&verifier, &store, &new).unwrap();
    let allowed =
        policy_text("enforce", true, &fixture::one_key(&key)).replace("require:", "downgrade: allow\n      require:");
    let allowed = Verifier::new(TrustPolicy::parse(&allowed, Path::new("/nonexistent")).unwrap());
    demo(&allowed, &store, &old).unwrap();
}

#[test]
fn what_has_no_time_is_older_than_what_has_one() {
    let ((_folder, store), key) = (store(), key());
    let new = module(&store, "new.wasm", &key, "2026-02-01T00:00:00Z");
    let undated = module(&store, "old.wasm", &key, "never");
    let verifier = Verifier::new(policy(&key));
    demo(&verifier, &store, &undated).unwrap();
    demo(&verifier, &store, &new).unwrap();
    assert!(matches!(
        demo(&verifier, &store, &undated),
        Err(VerifyError::Downgrade { signed_at: None, .. })
    ));
}

#[test]
fn refusals_and_audits_are_not_remembered() {
    let ((_folder, store), key) = (store(), key());
    let old = module(&store, "old.wasm", &key, "2026-01-01T00:00:00Z");
    let new = module(&store, "new.wasm", &key, "2026-02-01T00:00:00Z");
    let audit = policy_text("audit", true, &fixture::one_key(&key));
    let audit = Verifier::new(TrustPolicy::parse(&audit, Path::new("/nonexistent")).unwrap());
    demo(&audit, &store, &new).unwrap();
    let refusing = Verifier::new(policy(&fixture::key()));
    assert!(demo(&refusing, &store, &new).is_err());
    assert!(!store.root().join("trust").exists());
    demo(&Verifier::new(policy(&key)), &store, &old).unwrap();
}

#[test]
fn a_broken_record_is_no_clean_slate() {
    let ((_folder, store), key) = (store(), key());
    let new = module(&store, "new.wasm", &key, "2026-02-01T00:00:00Z");
    let verifier = Verifier::new(policy(&key));
    demo(&verifier, &store, &new).unwrap();
    let folder = fs_err::read_dir(store.root().join("trust")).unwrap();
    let records = folder.map(|entry| entry.unwrap().path());
    let record = records.into_iter().find(|path| path.extension().is_some()).unwrap();
    fs_err::write(&record, b"{").unwrap();
    let error = demo(&verifier, &store, &new).unwrap_err();
    assert!(
        matches!(error, VerifyError::HistoryBroken { .. }) && error.hint().is_some(),
        "{error}"
    );
}

#[test]
fn a_signature_from_the_future_is_refused() {
    let ((_folder, store), key) = (store(), key());
    let descriptor = module(&store, "new.wasm", &key, "2126-02-01T00:00:00Z");
    let error = demo(&Verifier::new(policy(&key)), &store, &descriptor).unwrap_err();
    assert!(error.explain()[0].contains("in the future"), "{:?}", error.explain());
    // Clocks that differ by minutes are no attack.
    let now = || "2126-01-31T23:56:00Z".parse().unwrap();
    demo(&Verifier::new(policy(&key)).with_clock(now), &store, &descriptor).unwrap();
    let earlier = || "2126-01-31T23:54:00Z".parse().unwrap();
    assert!(demo(&Verifier::new(policy(&key)).with_clock(earlier), &store, &descriptor).is_err());
}

#[test]
fn signatures_age() {
    let fresh = |age: &str, require: &Value| {
        let spec = json!({"freshness": {"maxAge": age}});
        Verifier::new(parse(&policy_of(&PKI.root_json(), require, &spec, &json!({}))))
    };
    let keyless = json!({"keyless": workflow()});
    let given = Given::bundles(&[case().sign().bundle_json()]);
    verify(&fresh("1h", &keyless), &given).unwrap();
    let error = verify(&fresh("60s", &keyless), &given).unwrap_err();
    assert!(error.explain()[0].contains("longer ago"), "{:?}", error.explain());
    let signed = case().managed().unlogged().stamped(false).sign();
    let key = json!({"key": {"inline": {"pem": signed.public_pem}}});
    let error = verify(&fresh("1h", &key), &Given::bundles(&[signed.bundle_json()])).unwrap_err();
    assert!(
        error.explain()[0].contains("nothing says when"),
        "{:?}",
        error.explain()
    );
}
