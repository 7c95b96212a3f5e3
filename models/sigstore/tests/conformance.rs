//! The offline bundle cases of sigstore-conformance, read from a folder: `DUNLIN_CONFORMANCE` is its `test/assets/bundle-verify`.
//! No package registry carries them, so they are not part of CI; `flaws.rs` and `equivalents.rs` hold what each is about.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "tests, the only place that reads this variable"
)]

use std::path::Path;

use dunlin_sigstore::{Refusal, Requirements, Sha256, TrustRoot, verify};

const BEACON: &str = "https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon/.github/workflows/extremely-dangerous-oidc-beacon.yml@refs/heads/main";
const BEACON_ISSUER: &str = "https://token.actions.githubusercontent.com";

/// Whether the case of `folder` verifies, by its key or by identity and issuer.
fn accepted(folder: &Path, default_artifact: &[u8]) -> Result<(), String> {
    let text = |name: &str, default: &str| {
        fs_err::read_to_string(folder.join(name)).map_or_else(|_| default.to_owned(), |text| text.trim().to_owned())
    };
    let show = |error: &dyn std::error::Error| {
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        text
    };
    let root = match fs_err::read(folder.join("trusted_root.json")) {
        Ok(json) => TrustRoot::from_json(&json),
        Err(_) => TrustRoot::public_good(),
    }
    .map_err(|error| show(&error))?;
    let artifact = fs_err::read(folder.join("artifact")).unwrap_or_else(|_| default_artifact.to_vec());
    let subject = Sha256::of(&artifact);
    let bundle = fs_err::read(folder.join("bundle.sigstore.json")).unwrap();
    if let Ok(key) = fs_err::read_to_string(folder.join("key.pub")) {
        return verify::managed_key(&bundle, &subject, &key, &root)
            .map(|_| ())
            .map_err(|error| show(&error));
    }
    let signer =
        verify::keyless(&bundle, &subject, &root, &Requirements::default()).map_err(|error: Refusal| show(&error))?;
    let wanted = (text("identity", BEACON), text("issuer", BEACON_ISSUER));
    if (signer.identity.as_str(), signer.issuer.as_str()) != (wanted.0.as_str(), wanted.1.as_str()) {
        return Err(format!("signed by {} of {}", signer.identity, signer.issuer));
    }
    Ok(())
}

#[test]
fn every_case_has_the_right_verdict() {
    let Some(folder) = std::env::var_os("DUNLIN_CONFORMANCE") else {
        eprintln!("ignored: DUNLIN_CONFORMANCE names no folder");
        return;
    };
    let folder = Path::new(&folder);
    let artifact = fs_err::read(folder.join("a.txt")).unwrap();
    let mut wrong = Vec::new();
    let mut count = 0;
    for entry in fs_err::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if !path.is_dir() {
            continue;
        }
        count += 1;
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let verdict = accepted(&path, &artifact);
        if verdict.is_ok() == name.ends_with("_fail") {
            wrong.push(format!("{name}: {verdict:?}"));
        } else {
            eprintln!("{name}: {verdict:?}");
        }
    }
    assert!(count >= 70, "only {count} cases");
    assert!(wrong.is_empty(), "{wrong:#?}");
}
