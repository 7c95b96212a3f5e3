//! Signatures: what is written is what is accepted, and nothing that differs from it in any field.
#![allow(clippy::unwrap_used, reason = "tests")]

mod fixture;

use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dunlin_models::descriptor::Annotations;
use dunlin_models::key::{KeyKind, KeyPair, PublicKey};
use dunlin_models::verify::{Candidate, SignatureSource, SourceError, VerifyError};
use dunlin_models::{Descriptor, Digest, Store, Verified, Verifier, sign};
use fixture::{key, module, policy, reference, store};
use serde_json::{Value, json};

/// One bundle, as it comes from anywhere.
struct Given(Vec<u8>);

impl SignatureSource for Given {
    fn candidates(&self, subject: &Digest) -> Result<Vec<Candidate>, SourceError> {
        Ok(vec![Candidate::bundle(*subject, self.0.clone())])
    }
}

fn check(key: &KeyPair, bundle: &[u8], descriptor: &Descriptor) -> Result<Verified<Descriptor>, VerifyError> {
    Verifier::new(policy(key)).verify(&Given(bundle.to_vec()), &reference("demo/echo"), descriptor)
}

/// The bundle of a signature that the store keeps.
fn bundle(store: &Store, signature: &Descriptor) -> Value {
    let manifest: Value = serde_json::from_slice(&store.read_document(signature).unwrap()).unwrap();
    let layer: Descriptor = serde_json::from_value(manifest["layers"][0].clone()).unwrap();
    serde_json::from_slice(&store.read_document(&layer).unwrap()).unwrap()
}

/// A signed module and its bundle.
fn signed(key: &KeyPair) -> (Descriptor, Value) {
    let (_folder, store) = store();
    let descriptor = module(&store);
    let signature = fixture::sign(&store, &descriptor, key);
    (descriptor, bundle(&store, &signature))
}

fn pae(payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 28 application/vnd.in-toto+json {} ", payload.len());
    [head.as_bytes(), payload].concat()
}

/// A bundle around `payload`, signed with `key` as it should be.
fn resigned(key: &KeyPair, payload: &Value) -> Vec<u8> {
    let payload = payload.to_string();
    envelope(
        key.public(),
        payload.as_bytes(),
        &key.sign(&pae(payload.as_bytes())).unwrap(),
    )
}

fn envelope(key: &PublicKey, payload: &[u8], signature: &[u8]) -> Vec<u8> {
    let bundle = json!({
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": {"publicKey": {"hint": key.hint()}, "tlogEntries": []},
        "dsseEnvelope": {
            "payload": STANDARD.encode(payload),
            "payloadType": "application/vnd.in-toto+json",
            "signatures": [{"sig": STANDARD.encode(signature)}],
        },
    });
    bundle.to_string().into_bytes()
}

fn statement(descriptor: &Descriptor) -> Value {
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"digest": {"sha256": descriptor.digest.hex()}}],
        "predicateType": "https://sigstore.dev/cosign/sign/v1",
        "predicate": null,
    })
}

/// Paths of all scalars below `value`.
fn scalars(value: &Value, path: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => map
            .iter()
            .for_each(|(name, value)| scalars(value, &format!("{path}/{name}"), found)),
        Value::Array(list) => {
            list.iter()
                .enumerate()
                .for_each(|(i, value)| scalars(value, &format!("{path}/{i}"), found));
        }
        _ => found.push(path.to_owned()),
    }
}

#[test]
fn the_written_form_is_cosigns() {
    let (_folder, store) = store();
    let descriptor = module(&store);
    let key = key();
    let annotations = Annotations::from([("build".to_owned(), "7".to_owned())]);
    let signature = sign::sign(&store, &descriptor, &key, &annotations).unwrap();
    let manifest: Value = serde_json::from_slice(&store.read_document(&signature).unwrap()).unwrap();
    let kind = "application/vnd.dev.sigstore.bundle.v0.3+json";
    assert_eq!(manifest["artifactType"], kind);
    assert_eq!(manifest["layers"][0]["mediaType"], kind);
    assert_eq!(manifest["config"]["mediaType"], "application/vnd.oci.empty.v1+json");
    assert_eq!(manifest["config"]["digest"], Digest::of(b"{}").to_string());
    assert_eq!(manifest["subject"]["digest"], descriptor.digest.to_string());
    assert_eq!(manifest["annotations"]["dev.sigstore.bundle.content"], "dsse-envelope");
    let predicate = "https://sigstore.dev/cosign/sign/v1";
    assert_eq!(manifest["annotations"]["dev.sigstore.bundle.predicateType"], predicate);
    let created = manifest["annotations"]["org.opencontainers.image.created"]
        .as_str()
        .unwrap();
    assert!(created.ends_with('Z') && created.len() == 20, "{created}");

    let bundle = bundle(&store, &signature);
    assert_eq!(bundle["mediaType"], kind);
    assert_eq!(bundle["verificationMaterial"]["tlogEntries"], json!([]));
    assert_eq!(bundle["verificationMaterial"]["publicKey"]["hint"], key.public().hint());
    let payload = STANDARD
        .decode(bundle["dsseEnvelope"]["payload"].as_str().unwrap())
        .unwrap();
    let statement: Value = serde_json::from_slice(&payload).unwrap();
    assert_eq!(statement["_type"], "https://in-toto.io/Statement/v1");
    assert_eq!(statement["predicateType"], predicate);
    assert_eq!(statement["subject"][0]["digest"]["sha256"], descriptor.digest.hex());
    assert_eq!(statement["subject"][0]["annotations"]["build"], "7");
    check(&key, bundle.to_string().as_bytes(), &descriptor).unwrap();
}

#[test]
fn both_kinds_of_keys_work() {
    for kind in [KeyKind::EcdsaP256, KeyKind::Ed25519] {
        let key = KeyPair::generate(kind).unwrap();
        let (descriptor, bundle) = signed(&key);
        check(&key, bundle.to_string().as_bytes(), &descriptor).unwrap();
    }
}

#[test]
fn every_changed_field_is_refused() {
    let key = key();
    let (descriptor, bundle) = signed(&key);
    let mut paths = Vec::new();
    scalars(&bundle, "", &mut paths);
    assert!(paths.len() >= 5, "{paths:?}");
    for path in &paths {
        let text = bundle.pointer(path).unwrap().as_str().unwrap().to_owned();
        // Every eighth character, so that the long base64 texts are covered from end to end.
        for position in (0..text.len()).step_by(8) {
            let mut changed: Vec<u8> = text.clone().into_bytes();
            changed[position] = if changed[position] == b'A' { b'B' } else { b'A' };
            let mut tampered = bundle.clone();
            *tampered.pointer_mut(path).unwrap() = Value::from(String::from_utf8(changed).unwrap());
            let outcome = check(&key, tampered.to_string().as_bytes(), &descriptor);
            assert!(outcome.is_err(), "{path} changed at {position} was accepted");
        }
        for replacement in [Value::Null, json!(7), json!(""), json!([])] {
            let is_hint = path.ends_with("/hint");
            let mut tampered = bundle.clone();
            *tampered.pointer_mut(path).unwrap() = replacement.clone();
            let outcome = check(&key, tampered.to_string().as_bytes(), &descriptor);
            // Without a hint the rule's keys are tried.
            assert_eq!(outcome.is_ok(), is_hint && replacement == "", "{path} as {replacement}");
        }
    }
}

#[test]
fn every_removed_field_and_every_surplus_one_is_refused() {
    let key = key();
    let (descriptor, bundle) = signed(&key);
    let refused = |tampered: &Value| check(&key, tampered.to_string().as_bytes(), &descriptor).is_err();
    let maps = [
        "",
        "/verificationMaterial",
        "/dsseEnvelope",
        "/dsseEnvelope/signatures/0",
    ];
    for path in maps {
        let names: Vec<String> = bundle
            .pointer(path)
            .unwrap()
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect();
        for name in names.iter().filter(|name| *name != "tlogEntries") {
            let mut tampered = bundle.clone();
            tampered
                .pointer_mut(path)
                .unwrap()
                .as_object_mut()
                .unwrap()
                .remove(name);
            assert!(refused(&tampered), "{path} without {name} was accepted");
        }
        let mut tampered = bundle.clone();
        tampered.pointer_mut(path).unwrap()["surplus"] = json!(1);
        assert!(refused(&tampered), "{path} with a surplus field was accepted");
    }
    let mut two = bundle.clone();
    let signature = two["dsseEnvelope"]["signatures"][0].clone();
    two["dsseEnvelope"]["signatures"]
        .as_array_mut()
        .unwrap()
        .push(signature);
    assert!(refused(&two));
    let mut keyless = bundle.clone();
    keyless["verificationMaterial"]["certificate"] = json!({"rawBytes": ""});
    let error = check(&key, keyless.to_string().as_bytes(), &descriptor).unwrap_err();
    assert!(error.explain()[0].contains("certificate"), "{error:?}");
    let mut both = bundle.clone();
    both["messageSignature"] = json!({});
    assert!(refused(&both));
    for text in ["", "{", "[]", "null", &"[".repeat(200_000)] {
        assert!(check(&key, text.as_bytes(), &descriptor).is_err());
    }
    let padded = format!("{bundle}{}", " ".repeat(1 << 20));
    assert!(check(&key, padded.as_bytes(), &descriptor).unwrap_err().explain()[0].contains("larger"));
}

#[test]
fn well_signed_statements_about_something_else_are_refused() {
    let key = key();
    let (descriptor, _) = signed(&key);
    check(&key, &resigned(&key, &statement(&descriptor)), &descriptor).unwrap();
    let changed = |path: &str, value: Value| {
        let mut changed = statement(&descriptor);
        *changed.pointer_mut(path).unwrap() = value;
        changed
    };
    let other = Digest::of(b"other").hex();
    let cases = [
        (
            changed("/_type", json!("https://in-toto.io/Statement/v0.1")),
            "not an in-toto statement",
        ),
        (
            changed("/predicateType", json!("https://slsa.dev/provenance/v1")),
            "attestation",
        ),
        (changed("/subject", json!([])), "another manifest"),
        (changed("/subject/0/digest/sha256", json!(other)), "another manifest"),
        (
            changed("/subject/0/digest", json!({"sha512": descriptor.digest.hex()})),
            "another manifest",
        ),
        (
            changed(
                "/subject/0/digest/sha256",
                json!(descriptor.digest.hex().to_uppercase()),
            ),
            "another manifest",
        ),
        (changed("/subject", json!("x")), "not an in-toto statement"),
        (json!([]), "not an in-toto statement"),
    ];
    for (statement, reason) in cases {
        let error = check(&key, &resigned(&key, &statement), &descriptor).unwrap_err();
        assert!(
            error.explain()[0].contains(reason),
            "{statement}: {:?}",
            error.explain()
        );
    }
}

#[test]
fn a_signature_over_anything_but_the_pae_is_refused() {
    let key = key();
    let (descriptor, _) = signed(&key);
    let payload = statement(&descriptor).to_string().into_bytes();
    let mut wrong_type = b"DSSEv1 16 application/json ".to_vec();
    wrong_type.extend_from_slice(&pae(&payload)[30..]);
    for message in [&payload, &wrong_type] {
        let signature = key.sign(message).unwrap();
        assert!(check(&key, &envelope(key.public(), &payload, &signature), &descriptor).is_err());
    }
}

#[test]
fn other_keys_artifacts_and_hints_are_refused() {
    let (key, other) = (key(), fixture::key());
    let (descriptor, bundle) = signed(&key);
    let bytes = bundle.to_string();
    let error = check(&other, bytes.as_bytes(), &descriptor).unwrap_err();
    assert!(
        error.explain()[0].contains("which the rule does not name"),
        "{:?}",
        error.explain()
    );
    let replayed = Descriptor {
        digest: Digest::of(b"other"),
        ..descriptor.clone()
    };
    assert!(check(&key, bytes.as_bytes(), &replayed).unwrap_err().explain()[0].contains("another manifest"));
    // The hint of a trusted key on somebody else's signature.
    let payload = statement(&descriptor).to_string().into_bytes();
    let forged = envelope(key.public(), &payload, &other.sign(&pae(&payload)).unwrap());
    assert!(check(&key, &forged, &descriptor).unwrap_err().explain()[0].contains("no key of the rule"));
}

#[test]
fn other_spellings_of_a_good_bundle_are_read() {
    let key = key();
    let (descriptor, mut bundle) = signed(&key);
    bundle["mediaType"] = json!("application/vnd.dev.sigstore.bundle+json;version=0.3");
    bundle["dsseEnvelope"]["signatures"][0]["keyid"] = json!("");
    check(&key, bundle.to_string().as_bytes(), &descriptor).unwrap();
    bundle["verificationMaterial"]["publicKey"]["hint"] = json!(key.public().fingerprint());
    bundle["verificationMaterial"]["tlogEntries"] = json!([{"logIndex": "1"}]);
    check(&key, bundle.to_string().as_bytes(), &descriptor).unwrap();
    bundle["mediaType"] = json!("application/vnd.dev.sigstore.bundle+json;version=0.4");
    assert!(check(&key, bundle.to_string().as_bytes(), &descriptor).is_err());
}

#[test]
fn broken_signatures_in_the_store_do_not_hide_a_good_one() {
    let (_folder, store) = store();
    let descriptor = module(&store);
    let (bad, good) = (key(), key());
    let broken = fixture::sign(&store, &descriptor, &bad);
    fs_err::remove_file(store.root().join("blobs/sha256").join(broken.digest.hex())).unwrap();
    let verifier = Verifier::new(policy(&good));
    let error = verifier
        .verify(&store, &reference("demo/echo"), &descriptor)
        .unwrap_err();
    assert!(error.explain()[0].contains("not in the store"), "{:?}", error.explain());
    fixture::sign(&store, &descriptor, &good);
    verifier.verify(&store, &reference("demo/echo"), &descriptor).unwrap();
}

#[test]
fn a_damaged_manifest_gets_no_signature() {
    let (_folder, store) = store();
    let descriptor = module(&store);
    let path = store.root().join("blobs/sha256").join(descriptor.digest.hex());
    let mut bytes = fs_err::read(&path).unwrap();
    bytes[0] ^= 1;
    fs_err::remove_file(&path).unwrap();
    fs_err::write(&path, bytes).unwrap();
    assert!(sign::sign(&store, &descriptor, &key(), &Annotations::new()).is_err());
    assert_eq!(store.referrers(&descriptor.digest).unwrap(), []);
}

fn openssl(arguments: &[&str], folder: &std::path::Path) -> bool {
    let status = Command::new("openssl")
        .args(arguments)
        .current_dir(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    status.is_ok_and(|status| status.success())
}

/// Keys and signatures of openssl are ours, and the other way round.
#[test]
fn openssl_agrees() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    if !openssl(&["version"], folder) {
        fixture::missing("openssl");
        return;
    }
    let cases: [&[&str]; 2] = [
        &[
            "genpkey",
            "-algorithm",
            "EC",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-out",
            "key.pem",
        ],
        &["genpkey", "-algorithm", "ed25519", "-out", "key.pem"],
    ];
    for (generate, is_ecdsa) in cases.into_iter().zip([true, false]) {
        assert!(openssl(generate, folder));
        assert!(openssl(
            &["pkey", "-in", "key.pem", "-pubout", "-out", "pub.pem"],
            folder
        ));
        let key = KeyPair::from_pem(&fs_err::read_to_string(folder.join("key.pem")).unwrap()).unwrap();
        let public = PublicKey::from_pem(&fs_err::read_to_string(folder.join("pub.pem")).unwrap()).unwrap();
        assert_eq!(key.public(), &public);
        assert!(openssl(
            &["pkey", "-pubin", "-in", "pub.pem", "-outform", "DER", "-out", "pub.der"],
            folder
        ));
        assert_eq!(
            Digest::of(&fs_err::read(folder.join("pub.der")).unwrap()).hex(),
            public.fingerprint()
        );

        let (descriptor, _) = signed(&key);
        let payload = statement(&descriptor).to_string().into_bytes();
        fs_err::write(folder.join("message"), pae(&payload)).unwrap();
        let raw = if is_ecdsa { &["-digest", "sha256"][..] } else { &[] };
        let arguments = |rest: &[&'static str]| [&["pkeyutl", "-rawin", "-in", "message"][..], raw, rest].concat();
        assert!(openssl(
            &arguments(&["-sign", "-inkey", "key.pem", "-out", "sig"]),
            folder
        ));
        let signature = fs_err::read(folder.join("sig")).unwrap();
        check(&key, &envelope(&public, &payload, &signature), &descriptor).unwrap();

        fs_err::write(folder.join("sig"), key.sign(&pae(&payload)).unwrap()).unwrap();
        assert!(openssl(
            &arguments(&["-verify", "-pubin", "-inkey", "pub.pem", "-sigfile", "sig"]),
            folder
        ));
        fs_err::write(
            folder.join("ours.pem"),
            KeyPair::generate(key.public().kind()).unwrap().to_pem(),
        )
        .unwrap();
        assert!(openssl(&["pkey", "-in", "ours.pem", "-noout"], folder));
    }
}
