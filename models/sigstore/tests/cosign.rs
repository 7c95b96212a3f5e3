//! Signatures, keys and roots that real cosign wrote (`data/README.md`).
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::path::Path;

use dunlin_sigstore::legacy::{self, LegacySignature};
use dunlin_sigstore::{
    Content, Generation, Identity, LogRequirement, Refusal, Requirements, SctRequirement, Sha256, TimeSource,
    TrustRoot, key_file, verify,
};

fn file(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/cosign-3.1.3");
    fs_err::read(folder.join(name)).unwrap()
}

fn text(name: &str) -> String {
    String::from_utf8(file(name)).unwrap()
}

fn subject() -> Sha256 {
    let digest = hex::decode(text("digest").trim().strip_prefix("sha256:").unwrap()).unwrap();
    Sha256::from(<[u8; 32]>::try_from(digest).unwrap())
}

fn root() -> TrustRoot {
    TrustRoot::from_json(&file("trusted_root.json")).unwrap()
}

const WITHOUT_SCT: Requirements = Requirements {
    sct: SctRequirement::Skipped,
    log: LogRequirement::Required,
    time: dunlin_sigstore::TimeRequirement::Authority,
};

#[test]
fn a_keyless_bundle_verifies() {
    let bundle = file("keyless.sigstore.json");
    let signer = verify::keyless(&bundle, &subject(), &root(), &WITHOUT_SCT).unwrap();
    assert_eq!(signer.identity, Identity::Email("dev@example.com".to_owned()));
    assert_eq!(signer.issuer, "http://127.0.0.1:5560");
    assert_eq!(signer.proof.log[0].generation, Generation::V2);
    assert_eq!(signer.proof.times[0].source, TimeSource::TimestampAuthority);
    let Content::Statement(statement) = signer.proof.content else {
        panic!("not a statement")
    };
    assert_eq!(statement.predicate_type, "https://sigstore.dev/cosign/sign/v1");
    let other = verify::keyless(&bundle, &Sha256::of(b"another"), &root(), &WITHOUT_SCT);
    assert!(matches!(other, Err(Refusal::OtherSubject { .. })), "{other:?}");
    let strict = verify::keyless(&bundle, &subject(), &root(), &Requirements::default());
    assert!(matches!(strict, Err(Refusal::Certificate { .. })), "{strict:?}");
    let public = verify::keyless(&bundle, &subject(), &TrustRoot::public_good().unwrap(), &WITHOUT_SCT);
    assert!(public.is_err(), "{public:?}");
}

#[test]
fn a_key_bundle_with_log_entry_verifies() {
    let bundle = file("key.sigstore.json");
    let proof = verify::managed_key(&bundle, &subject(), &text("cosign.pub"), &root()).unwrap();
    assert_eq!(proof.log.len(), 1);
    let other = verify::managed_key(&bundle, &Sha256::of(b"another"), &text("cosign.pub"), &root());
    assert!(other.is_err(), "{other:?}");
}

#[test]
fn legacy_signatures_verify() {
    let manifest: serde_json::Value = serde_json::from_slice(&file("legacy.manifest.json")).unwrap();
    let payload = file("legacy.payload");
    let annotations = |layer: usize| -> BTreeMap<String, String> {
        serde_json::from_value(manifest["layers"][layer]["annotations"].clone()).unwrap()
    };
    let signature = |annotations: &BTreeMap<String, String>| annotations[legacy::SIGNATURE_ANNOTATION].clone();

    let by_key = annotations(0);
    let text_signature = signature(&by_key);
    let by_key = LegacySignature {
        payload: &payload,
        signature: &text_signature,
        annotations: &by_key,
    };
    legacy::managed_key(&by_key, &subject(), &text("cosign.pub"), None).unwrap();

    let keyless = annotations(1);
    let text_signature = signature(&keyless);
    let keyless = LegacySignature {
        payload: &payload,
        signature: &text_signature,
        annotations: &keyless,
    };
    let unlogged = Requirements {
        log: LogRequirement::Optional,
        ..WITHOUT_SCT
    };
    let signer = legacy::keyless(&keyless, &subject(), &root(), &unlogged).unwrap();
    assert_eq!(signer.identity, Identity::Email("dev@example.com".to_owned()));
    let logged = legacy::keyless(&keyless, &subject(), &root(), &WITHOUT_SCT);
    assert!(matches!(logged, Err(Refusal::Log { .. })), "{logged:?}");
    let other = legacy::keyless(&keyless, &Sha256::of(b"another"), &root(), &unlogged);
    assert!(matches!(other, Err(Refusal::OtherSubject { .. })), "{other:?}");
}

#[test]
fn an_encrypted_key_opens_to_the_public_key_beside_it() {
    use aws_lc_rs::encoding::AsDer as _;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
    let key = key_file::open(&text("cosign.key"), b"fixture passphrase").unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, key.pkcs8_der()).unwrap();
    let public = pair.public_key().as_der().unwrap();
    let pem = der::pem::encode_string("PUBLIC KEY", der::pem::LineEnding::LF, public.as_ref()).unwrap();
    assert_eq!(pem, text("cosign.pub"));
}
