//! Keyless signing against services in memory: what is signed verifies, and no answer that is wrong is taken.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::{LazyLock, Mutex};
use std::time::Duration;

use dunlin_sigstore::sign::{self, Answer, Http, HttpError, HttpFuture, Post, SignError, Signable, SigningConfig};
use dunlin_sigstore::{Content, Requirements, Sha256, SigningTime, TimeSource, TrustRoot, verify};
use dunlin_test_pki::{Generation, Identity, Pki, Style};
use serde_json::json;

static PKI: LazyLock<Pki> = LazyLock::new(Pki::new);
const BASE: &str = "https://sigstore.test";
const TOKEN: &str = "e30.e30.c2ln";

type Change = fn(&str, u16, Vec<u8>) -> Result<(u16, Vec<u8>), HttpError>;

/// The services, with their answers changed on the way.
struct Services {
    change: Change,
    asked: Mutex<Vec<String>>,
}

impl Services {
    fn new(change: Change) -> Self {
        let asked = Mutex::new(Vec::new());
        Self { change, asked }
    }
}

impl Http for Services {
    fn post<'a>(&'a self, post: Post<'a>) -> HttpFuture<'a> {
        assert!(post.timeout <= Duration::from_secs(60) && post.answer_cap <= 1 << 20);
        let path = post.url.strip_prefix(BASE).unwrap().to_owned();
        self.asked.lock().unwrap().push(path.clone());
        let (status, body) = PKI.answer(&path, post.body, &Identity::workflow());
        let answer = (self.change)(&path, status, body).map(|(status, body)| Answer { status, body });
        Box::pin(std::future::ready(answer))
    }
}

fn honest(_: &str, status: u16, body: Vec<u8>) -> Result<(u16, Vec<u8>), HttpError> {
    Ok((status, body))
}

fn statement(artifact: &[u8]) -> Vec<u8> {
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{ "digest": { "sha256": Sha256::of(artifact).to_string() } }],
        "predicateType": "https://sigstore.dev/cosign/sign/v1",
        "predicate": {},
    })
    .to_string()
    .into_bytes()
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(future)
}

fn signed(what: Signable<'_>, generation: Generation, change: Change) -> Result<Vec<u8>, SignError> {
    let config = PKI.signing_config(BASE, generation).to_string();
    let config = SigningConfig::from_json(config.as_bytes()).unwrap();
    block_on(sign::keyless(what, TOKEN, &config, &Services::new(change)))
}

#[test]
fn what_is_signed_verifies_in_both_logs_and_forms() {
    let root = TrustRoot::from_json(&PKI.root_json()).unwrap();
    let subject = Sha256::of(b"an artifact");
    let payload = statement(b"an artifact");
    for generation in [Generation::V1, Generation::V2] {
        for what in [Signable::Statement(&payload), Signable::Digest(&subject)] {
            let bundle = signed(what, generation, honest).unwrap();
            let signer = verify::keyless(&bundle, &subject, &root, &Requirements::default()).unwrap();
            assert_eq!(signer.issuer, Identity::workflow().issuer);
            assert_eq!(signer.proof.log.len(), 1);
            let by_authority = |time: &SigningTime| time.source == TimeSource::TimestampAuthority;
            assert_eq!(signer.proof.times.iter().filter(|time| by_authority(time)).count(), 1);
            if let Signable::Statement(payload) = what {
                let Content::Statement(found) = signer.proof.content else {
                    panic!("not a statement")
                };
                assert_eq!(found.payload, payload);
            }
        }
    }
}

#[test]
fn a_stamp_is_asked_for_before_the_log() {
    let config = PKI.signing_config(BASE, Generation::V2).to_string();
    let config = SigningConfig::from_json(config.as_bytes()).unwrap();
    let services = Services::new(honest);
    let subject = Sha256::of(b"an artifact");
    block_on(sign::keyless(Signable::Digest(&subject), TOKEN, &config, &services)).unwrap();
    let asked = services.asked.into_inner().unwrap();
    assert_eq!(asked, ["/api/v2/signingCert", "/timestamp", "/api/v2/log/entries"]);
}

#[test]
fn wrong_answers_are_not_taken() {
    fn other_certificate(path: &str, status: u16, body: Vec<u8>) -> Result<(u16, Vec<u8>), HttpError> {
        if path.ends_with("signingCert") {
            let signed = PKI.case().sign();
            let certificate = der_to_pem(&signed.certificate);
            let answer = json!({ "signedCertificateDetachedSct": { "chain": { "certificates": [certificate] } } });
            return Ok((status, answer.to_string().into_bytes()));
        }
        Ok((status, body))
    }
    fn other_stamp(path: &str, status: u16, body: Vec<u8>) -> Result<(u16, Vec<u8>), HttpError> {
        let other = PKI.own.tsa.stamp(b"something else", PKI.signed_at(), Style::Bare);
        Ok((status, if path == "/timestamp" { other } else { body }))
    }
    fn other_entry(path: &str, status: u16, body: Vec<u8>) -> Result<(u16, Vec<u8>), HttpError> {
        let other = PKI.case().sign().bundle["verificationMaterial"]["tlogEntries"][0].to_string();
        let log = path.ends_with("entries");
        Ok((status, if log { other.into_bytes() } else { body }))
    }
    fn nothing(_: &str, status: u16, _: Vec<u8>) -> Result<(u16, Vec<u8>), HttpError> {
        Ok((status, b"{}".to_vec()))
    }
    fn deep(_: &str, status: u16, _: Vec<u8>) -> Result<(u16, Vec<u8>), HttpError> {
        Ok((status, "[".repeat(100_000).into_bytes()))
    }
    let subject = Sha256::of(b"an artifact");
    for (change, service) in [
        (other_certificate as Change, "Fulcio"),
        (other_stamp, "the timestamp authority"),
        (other_entry, "Rekor"),
        (nothing, "Fulcio"),
        (deep, "Fulcio"),
    ] {
        let error = signed(Signable::Digest(&subject), Generation::V2, change).unwrap_err();
        let refused = matches!(
            &error,
            SignError::OtherAnswer { service: found, .. } | SignError::Answer { service: found, .. } if *found == service
        );
        assert!(refused, "{service}: {error:?}");
    }
}

#[test]
fn failures_name_the_service_and_what_it_said() {
    fn refuse(_: &str, _: u16, _: Vec<u8>) -> Result<(u16, Vec<u8>), HttpError> {
        Ok((401, b"token \x1b[31mexpired\n".to_vec()))
    }
    fn time_out(_: &str, _: u16, _: Vec<u8>) -> Result<(u16, Vec<u8>), HttpError> {
        Err(HttpError::TimedOut {
            after: Duration::from_secs(30),
        })
    }
    fn flood(_: &str, status: u16, _: Vec<u8>) -> Result<(u16, Vec<u8>), HttpError> {
        Ok((status, vec![b' '; 2 << 20]))
    }
    let subject = Sha256::of(b"an artifact");
    let refused = signed(Signable::Digest(&subject), Generation::V2, refuse).unwrap_err();
    let text = refused.to_string();
    assert_eq!(
        text,
        "Fulcio at https://sigstore.test/api/v2/signingCert answered 401: token  [31mexpired"
    );
    assert!(refused.hint().unwrap().contains("token"));
    for change in [time_out as Change, flood] {
        let error = signed(Signable::Digest(&subject), Generation::V2, change).unwrap_err();
        assert!(
            matches!(error, SignError::Request { service: "Fulcio", .. }),
            "{error:?}"
        );
    }
}

#[test]
fn nothing_is_sent_with_a_bad_token_or_configuration() {
    let subject = Sha256::of(b"an artifact");
    let services = Services::new(honest);
    let document = PKI.signing_config(BASE, Generation::V2);
    let config = SigningConfig::from_json(document.to_string().as_bytes()).unwrap();
    for token in ["", "two words", "line\nbreak", "quote\"", &"a".repeat(20_000)] {
        let error = block_on(sign::keyless(Signable::Digest(&subject), token, &config, &services)).unwrap_err();
        assert!(matches!(error, SignError::Token), "{error:?}");
    }
    for (field, value) in [
        ("caUrls", json!([])),
        ("rekorTlogUrls", json!([])),
        // Rekor v2 has no clock.
        ("tsaUrls", json!([])),
        ("tsaConfig", json!({ "selector": "EXACT", "count": 2 })),
        ("tsaConfig", json!({ "selector": "SERVICE_SELECTOR_UNDEFINED" })),
        (
            "caUrls",
            json!([{ "url": "file:///etc/passwd", "majorApiVersion": 1, "validFor": { "start": "2020-01-01T00:00:00Z" } }]),
        ),
        (
            "caUrls",
            json!([{ "url": BASE, "majorApiVersion": 1, "validFor": { "start": "2020-01-01T00:00:00Z", "end": "2021-01-01T00:00:00Z" } }]),
        ),
        (
            "caUrls",
            json!([{ "url": BASE, "majorApiVersion": 9, "validFor": { "start": "2020-01-01T00:00:00Z" } }]),
        ),
    ] {
        let mut document = document.clone();
        document[field] = value;
        let config = SigningConfig::from_json(document.to_string().as_bytes()).unwrap();
        let error = block_on(sign::keyless(Signable::Digest(&subject), TOKEN, &config, &services)).unwrap_err();
        assert!(matches!(error, SignError::Config(_)), "{field}: {error:?}");
    }
    assert!(services.asked.into_inner().unwrap().is_empty());
    assert!(SigningConfig::from_json(b"{}").is_err());
    assert!(SigningConfig::from_json("[".repeat(2 << 20).as_bytes()).is_err());
}

fn der_to_pem(der: &[u8]) -> String {
    der::pem::encode_string("CERTIFICATE", der::pem::LineEnding::LF, der).unwrap()
}
