//! Signing against real services: Fulcio, Rekor and a timestamp authority on loopback. `DUNLIN_SIGSTORE` is a folder with
//! `signing-config.json`, `trusted_root.json`, `token` and `artifact`, none of whose certificates need an SCT; the bundle
//! is left there as `dunlin.sigstore.json` for cosign to verify, `cosign.sigstore.json`, where it is, is verified,
//! and keys for cosign to open are written under `a passphrase`.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "tests, the only place that reads this variable"
)]

use std::path::Path;

use dunlin_sigstore::sign::{self, Answer, Http, HttpError, HttpFuture, Post, Signable, SigningConfig};
use dunlin_sigstore::{Requirements, SctRequirement, Sha256, TrustRoot, key_file, verify};
use dunlin_test_pki::Key;
use serde_json::json;

/// Blocking requests, one at a time.
struct Ureq;

impl Http for Ureq {
    fn post<'a>(&'a self, post: Post<'a>) -> HttpFuture<'a> {
        let failed = |error: ureq::Error| HttpError::Failed { source: error.into() };
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(post.timeout))
            .http_status_as_error(false)
            .max_redirects(0);
        let request = ureq::Agent::new_with_config(config.build()).post(&post.url);
        let request = request
            .header("content-type", post.content_type)
            .header("accept", post.accept);
        let answer = request.send(post.body).map_err(failed).and_then(|mut answer| {
            let status = answer.status().as_u16();
            let cap = u64::try_from(post.answer_cap).unwrap();
            let body = answer
                .body_mut()
                .with_config()
                .limit(cap)
                .read_to_vec()
                .map_err(failed)?;
            Ok(Answer { status, body })
        });
        Box::pin(std::future::ready(answer))
    }
}

#[test]
fn what_is_signed_by_real_services_verifies() {
    let Some(folder) = std::env::var_os("DUNLIN_SIGSTORE") else {
        eprintln!("ignored: DUNLIN_SIGSTORE names no folder");
        return;
    };
    let read = |name: &str| fs_err::read(Path::new(&folder).join(name));
    let config = SigningConfig::from_json(&read("signing-config.json").unwrap()).unwrap();
    let root = TrustRoot::from_json(&read("trusted_root.json").unwrap()).unwrap();
    let token = String::from_utf8(read("token").unwrap()).unwrap();
    let subject = Sha256::of(&read("artifact").unwrap());
    let requirements = Requirements {
        sct: SctRequirement::Skipped,
        ..Requirements::default()
    };
    let statement = json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{ "name": "artifact", "digest": { "sha256": subject.to_string() } }],
        "predicateType": "https://sigstore.dev/cosign/sign/v1",
        "predicate": {},
    })
    .to_string();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for (name, what) in [
        ("dunlin.sigstore.json", Signable::Statement(statement.as_bytes())),
        ("dunlin-message.sigstore.json", Signable::Digest(&subject)),
    ] {
        let bundle = runtime
            .block_on(sign::keyless(what, token.trim(), &config, &Ureq))
            .unwrap();
        fs_err::write(Path::new(&folder).join(name), &bundle).unwrap();
        let signer = verify::keyless(&bundle, &subject, &root, &requirements).unwrap();
        eprintln!(
            "{name}: signed by {} of {}: {:?}",
            signer.identity, signer.issuer, signer.proof.log
        );
        assert!(
            verify::keyless(&bundle, &subject, &root, &Requirements::default()).is_err(),
            "there is no SCT"
        );
    }
    for (name, key) in [("dunlin.key", Key::p256()), ("dunlin-ed25519.key", Key::ed25519())] {
        let sealed = key_file::seal(&key.pkcs8(), b"a passphrase").unwrap();
        fs_err::write(Path::new(&folder).join(name), sealed).unwrap();
    }
    if let Ok(bundle) = read("cosign.sigstore.json") {
        let signer = verify::keyless(&bundle, &subject, &root, &requirements).unwrap();
        eprintln!("cosign's: signed by {} of {}", signer.identity, signer.issuer);
        assert!(verify::keyless(&bundle, &Sha256::of(b"another"), &root, &requirements).is_err());
    }
}
