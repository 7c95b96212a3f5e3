//! OpenSSF model signatures: by layer digests, all layers, nothing else, and models only.
#![allow(clippy::unwrap_used, reason = "tests")]

mod fixture;
mod sigstore;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dunlin_models::key::KeyPair;
use dunlin_models::manifest::Manifest;
use dunlin_models::verify::{SignatureForm, VerifyError};
use dunlin_models::{Descriptor, Digest, Verified, media_type};
use fixture::{key, reference};
use serde_json::{Value, json};
use sigstore::{Given, PKI, key_of, verifier, workflow};

const PREDICATE: &str = "https://model_signing/signature/v1.0";

fn layer(kind: &str, path: &str, content: &[u8]) -> Descriptor {
    Descriptor::of(&format!("application/vnd.cncf.model.{kind}.v1.raw"), content)
        .annotated("org.cncf.model.filepath", path)
        .annotated("org.opencontainers.image.title", path)
}

/// A model of two shards, a tokenizer and a page of text.
fn manifest() -> Manifest {
    let config = Descriptor::of(media_type::MODEL_CONFIG, b"{}");
    let layers = vec![
        layer("weight", "a/1.safetensors", b"one"),
        layer("weight", "a/2.safetensors", b"two"),
        layer("weight.config", "tokenizer.json", b"{}"),
        layer("doc", "README.md", b"# model"),
    ];
    Manifest::new(config, layers)
}

/// What `model_signing` writes about these layers.
fn statement(layers: &[Descriptor]) -> Value {
    let mut root = Vec::new();
    let resources: Vec<_> = layers
        .iter()
        .map(|layer| {
            root.extend_from_slice(layer.digest.as_bytes());
            json!({"name": layer.annotations["org.cncf.model.filepath"], "algorithm": "sha256", "digest": layer.digest.hex()})
        })
        .collect();
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "model", "digest": {"sha256": Digest::of(&root).hex()}}],
        "predicateType": PREDICATE,
        "predicate": {
            "serialization": {"method": "files", "hash_type": "sha256", "allow_symlinks": false, "ignore_paths": ["model.sig", ".git"]},
            "resources": resources,
        },
    })
}

/// The statement in a bundle as `model_signing` writes it: the hint is of the PEM text.
fn signed(statement: &Value, key: &KeyPair) -> Vec<u8> {
    let payload = statement.to_string().into_bytes();
    let mut message = format!("DSSEv1 28 application/vnd.in-toto+json {} ", payload.len()).into_bytes();
    message.extend_from_slice(&payload);
    json!({
        "mediaType": media_type::SIGSTORE_BUNDLE,
        "verificationMaterial": {
            "publicKey": {"hint": Digest::of(key.public().to_pem().as_bytes()).hex()},
            "tlogEntries": [],
        },
        "dsseEnvelope": {
            "payload": STANDARD.encode(&payload),
            "payloadType": "application/vnd.in-toto+json",
            "signatures": [{"sig": STANDARD.encode(key.sign(&message).unwrap()), "keyid": ""}],
        },
    })
    .to_string()
    .into_bytes()
}

fn check(require: &Value, manifest: &Manifest, bundle: Vec<u8>) -> Result<Verified<Descriptor>, VerifyError> {
    let bytes = serde_json::to_vec(manifest).unwrap();
    let descriptor = Descriptor::of(media_type::MANIFEST, &bytes);
    let given = Given {
        forms: vec![SignatureForm::Bundle(bundle)],
        manifest: bytes,
        history: None,
    };
    verifier(require).verify(&given, &reference("demo/model"), &descriptor)
}

fn by_key(key: &KeyPair) -> Value {
    json!({"modelSigning": {"key": key_of(&key.public().to_pem())}})
}

/// Why the signature of `statement` does not count for `manifest`.
fn refused(manifest: &Manifest, statement: &Value) -> String {
    let key = key();
    let error = check(&by_key(&key), manifest, signed(statement, &key)).unwrap_err();
    error.explain()[0].clone()
}

#[test]
fn all_files_of_a_model_are_covered_by_key_and_without() {
    let (manifest, key) = (manifest(), key());
    let statement = statement(&manifest.layers);
    check(&by_key(&key), &manifest, signed(&statement, &key)).unwrap();
    // The PKI signs statements about the artifact that it is given: here the digests of all files, one after the other.
    let root: Vec<u8> = manifest
        .layers
        .iter()
        .flat_map(|layer| *layer.digest.as_bytes())
        .collect();
    let case = PKI
        .case()
        .artifact(&root)
        .predicate(PREDICATE, statement["predicate"].clone());
    let keyless = json!({"modelSigning": {"keyless": workflow()}});
    check(&keyless, &manifest, case.sign().bundle_json()).unwrap();
    // It is no signature of the manifest.
    assert!(check(&json!({"keyless": workflow()}), &manifest, case.sign().bundle_json()).is_err());
}

#[test]
fn a_missing_an_extra_and_a_changed_layer_are_refused() {
    let whole = manifest();
    let statement = statement(&whole.layers);
    let mut missing = whole.clone();
    missing.layers.remove(1);
    assert!(refused(&missing, &statement).contains("the artifact lacks"));
    let mut extra = whole.clone();
    extra.layers.push(layer("weight", "a/3.safetensors", b"three"));
    assert!(refused(&extra, &statement).contains("does not list"));
    let mut changed = whole.clone();
    changed.layers[0] = layer("weight", "a/1.safetensors", b"evil");
    assert!(refused(&changed, &statement).contains("another digest"));
    let mut renamed = whole;
    renamed.layers[0] = layer("weight", "a/0.safetensors", b"one");
    assert!(refused(&renamed, &statement).contains("does not list"));
}

#[test]
fn ignored_paths_hide_no_weights() {
    let mut manifest = manifest();
    let statement = statement(&manifest.layers);
    manifest.layers.push(layer("doc", ".git/README", b"text"));
    let key = key();
    check(&by_key(&key), &manifest, signed(&statement, &key)).unwrap();
    for (kind, path) in [
        ("weight", ".git/w"),
        ("doc", ".git/w.gguf"),
        ("doc", ".gitx"),
        ("code", ".git/run.py"),
    ] {
        let mut hidden = manifest.clone();
        hidden.layers.push(layer(kind, path, b"evil"));
        assert!(refused(&hidden, &statement).contains("does not list"), "{kind} {path}");
    }
}

#[test]
fn lists_that_do_not_have_the_digest_of_their_subject_are_refused() {
    let manifest = manifest();
    let mut swapped = statement(&manifest.layers);
    swapped["predicate"]["resources"][0]["digest"] = json!(Digest::of(b"evil").hex());
    assert!(refused(&manifest, &swapped).contains("digest of its subject"));
    let mut sharded = statement(&manifest.layers);
    sharded["predicate"]["serialization"]["method"] = json!("shards");
    assert!(refused(&manifest, &sharded).contains("another way"));
    let mut two_names = manifest.clone();
    two_names.layers[0] = two_names.layers[0]
        .clone()
        .annotated("org.opencontainers.image.title", "other");
    assert!(refused(&two_names, &statement(&manifest.layers)).contains("two names"));
}

#[test]
fn modules_are_not_covered() {
    let mut module = manifest();
    let statement = statement(&module.layers);
    module
        .annotations
        .insert("dev.dunlin.capabilities.v1".to_owned(), "{}".to_owned());
    assert!(refused(&module, &statement).contains("does not cover"));
}

#[test]
fn one_key_counts_once_whatever_it_signs() {
    let (manifest, key) = (manifest(), key());
    let plain = json!({"key": key_of(&key.public().to_pem())});
    let two = json!({"threshold": {"count": 2, "of": [plain, by_key(&key)]}});
    let both = json!({"all": [plain, by_key(&key)]});
    let bytes = serde_json::to_vec(&manifest).unwrap();
    let (_folder, store) = fixture::store();
    let descriptor = store.put_bytes(media_type::MANIFEST, &bytes).unwrap();
    let signature = fixture::sign(&store, &descriptor, &key);
    let carrier: Manifest = serde_json::from_slice(&store.read_document(&signature).unwrap()).unwrap();
    let forms = [
        store.read_document(&carrier.layers[0]).unwrap(),
        signed(&statement(&manifest.layers), &key),
    ];
    let given = Given {
        forms: forms.into_iter().map(SignatureForm::Bundle).collect(),
        manifest: bytes,
        history: None,
    };
    let name = reference("demo/model");
    verifier(&both).verify(&given, &name, &descriptor).unwrap();
    assert!(verifier(&two).verify(&given, &name, &descriptor).is_err());
}
