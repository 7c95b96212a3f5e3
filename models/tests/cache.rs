//! The verdict cache: what it saves, and what it does not believe.
#![allow(clippy::unwrap_used, reason = "tests")]

mod fixture;
mod sigstore;

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use dunlin_models::Verifier;
use dunlin_models::verify::{Verdict, VerifyError};
use serde_json::{Value, json};
use sigstore::{Given, PKI, case, parse, policy_of, verify, workflow};

fn cached(spec: &Value) -> (tempfile::TempDir, Verifier) {
    let folder = tempfile::tempdir().unwrap();
    let policy = policy_of(&PKI.root_json(), &json!({"keyless": workflow()}), spec, &json!({}));
    let verifier = Verifier::new(parse(&policy)).with_cache(&folder.path().join("verdicts"));
    (folder, verifier)
}

fn given() -> Given {
    Given::bundles(&[case().sign().bundle_json()])
}

fn only_file(folder: &tempfile::TempDir) -> PathBuf {
    let mut files = fs_err::read_dir(folder.path().join("verdicts")).unwrap();
    let file = files.next().unwrap().unwrap().path();
    assert!(files.next().is_none());
    file
}

#[test]
fn an_acceptance_is_found_again_without_its_signature() {
    let (folder, verifier) = cached(&json!({}));
    let none = Given::default();
    assert!(matches!(verify(&verifier, &none), Err(VerifyError::Unsigned { .. })));
    let first = verify(&verifier, &given()).unwrap();
    let mode = fs_err::metadata(only_file(&folder)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let again = verify(&verifier, &none).unwrap();
    assert_eq!(first.verdict(), again.verdict());
    assert!(matches!(again.verdict(), Verdict::Signed { .. }));
    // Another name, and another policy, are other questions.
    let other = verifier.verify(&none, &fixture::reference("demo/other"), &sigstore::descriptor());
    assert!(other.is_err());
    let policy = policy_of(
        &PKI.root_json(),
        &json!({"keyless": workflow()}),
        &json!({"mode": "enforce"}),
        &json!({}),
    );
    let changed = Verifier::new(parse(&policy)).with_cache(&folder.path().join("verdicts"));
    assert!(verify(&changed, &none).is_err());
}

#[test]
fn refusals_are_not_kept() {
    let (folder, verifier) = cached(&json!({}));
    assert!(verify(&verifier, &Given::bundles(&[b"{}".to_vec()])).is_err());
    assert!(!folder.path().join("verdicts").exists());
}

#[test]
fn damaged_and_foreign_verdicts_are_as_good_as_absent() {
    let (folder, verifier) = cached(&json!({}));
    let none = Given::default();
    verify(&verifier, &given()).unwrap();
    let file = only_file(&folder);
    let good = fs_err::read(&file).unwrap();
    let mut other: Value = serde_json::from_slice(&good).unwrap();
    other["about"]["reference"] = json!("demo/other");
    for bytes in [
        b"{}".to_vec(),
        good[..good.len() / 2].to_vec(),
        other.to_string().into_bytes(),
        vec![b' '; 1 << 20],
    ] {
        fs_err::write(&file, &bytes).unwrap();
        assert!(verify(&verifier, &none).is_err());
    }
    fs_err::write(&file, &good).unwrap();
    verify(&verifier, &none).unwrap();
    fs_err::set_permissions(&file, PermissionsExt::from_mode(0o644)).unwrap();
    assert!(verify(&verifier, &none).is_err());
    fs_err::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();
    let elsewhere = folder.path().join("elsewhere");
    fs_err::rename(&file, &elsewhere).unwrap();
    fs_err::os::unix::fs::symlink(&elsewhere, &file).unwrap();
    assert!(verify(&verifier, &none).is_err());
}

#[test]
fn verdicts_live_as_long_as_their_signatures_are_fresh() {
    let (_folder, verifier) = cached(&json!({"freshness": {"maxAge": "1h"}}));
    verify(&verifier, &given()).unwrap();
    verify(&verifier, &Given::default()).unwrap();
    let later = verifier.with_clock(|| jiff::Timestamp::now() + jiff::SignedDuration::from_hours(2));
    assert!(verify(&later, &Given::default()).is_err());
}
