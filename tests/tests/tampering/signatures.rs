//! Signatures that are none, are somebody else's, or belong to something else.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use dunlin_tests::Shelf;
use serde_json::{Value, json};

use crate::{REFUSED, origin::Origin, scene::Scene};

/// The publisher's bundle for what is tagged.
fn bundle(shelf: &Shelf) -> Value {
    let manifest = shelf.referrers(shelf.tagged()).pop().unwrap();
    let manifest = shelf.document(&manifest);
    shelf.document(manifest["layers"][0]["digest"].as_str().unwrap())
}

/// Only this bundle is attached to the unsigned artifact.
fn attached(bundle: &[u8], text: &str) {
    let Some(origin) = Origin::get() else { return };
    let mut shelf = origin.unsigned.clone();
    let subject = shelf.tagged().to_owned();
    drop(shelf.attach(&subject, bundle));
    Scene::of(origin, shelf).refuses(REFUSED, text);
}

/// The publisher's bundle after a change is attached.
fn changed(change: impl FnOnce(&mut Value), text: &str) {
    let Some(origin) = Origin::get() else { return };
    let mut bundle = bundle(&origin.signed);
    change(&mut bundle);
    attached(bundle.to_string().as_bytes(), text);
}

/// The statement in the bundle, changed, with the signature as it was.
fn restated(change: impl FnOnce(&mut Value), text: &str) {
    changed(
        |bundle| {
            let payload = STANDARD
                .decode(bundle["dsseEnvelope"]["payload"].as_str().unwrap())
                .unwrap();
            let mut statement: Value = serde_json::from_slice(&payload).unwrap();
            change(&mut statement);
            bundle["dsseEnvelope"]["payload"] = STANDARD.encode(statement.to_string()).into();
        },
        text,
    );
}

#[test]
fn signature_missing() {
    let Some(origin) = Origin::get() else { return };
    Scene::of(origin, origin.unsigned.clone()).refuses(REFUSED, "no signature");
}

#[test]
fn signature_of_a_rogue_key() {
    let Some(origin) = Origin::get() else { return };
    Scene::of(origin, origin.rogue.clone()).refuses(REFUSED, "which the rule does not name");
}

#[test]
fn signature_of_a_rogue_key_under_the_publishers_hint() {
    let Some(origin) = Origin::get() else { return };
    let mut forged = bundle(&origin.rogue);
    forged["verificationMaterial"] = bundle(&origin.signed)["verificationMaterial"].clone();
    attached(forged.to_string().as_bytes(), "no key of the rule made it");
}

#[test]
fn signature_of_another_artifact() {
    let Some(origin) = Origin::get() else { return };
    attached(
        bundle(&origin.older).to_string().as_bytes(),
        "it signs another manifest",
    );
}

#[test]
fn signature_that_refers_to_another_artifact() {
    // The registry lists, for this artifact, the signature of another one as it is.
    let Some(origin) = Origin::get() else { return };
    let mut shelf = origin.older.clone();
    let foreign = shelf.referrers(shelf.tagged()).pop().unwrap();
    let (descriptor, bundle) = (shelf.descriptor(&foreign), origin.unsigned.tagged().to_owned());
    for digest in origin.unsigned.layers(&bundle).iter().chain([&bundle]) {
        shelf.put(origin.unsigned.bytes(digest));
    }
    shelf.tag(&bundle);
    let list = json!({ "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [descriptor] });
    let scene = Scene::answering(origin, shelf, move |ask| {
        ask.is_referrers().then(|| dunlin_tests::Reply::document(&list))
    });
    scene.refuses(REFUSED, "refers to another artifact");
}

#[test]
fn statement_with_another_digest() {
    let Some(origin) = Origin::get() else { return };
    let target = origin.unsigned.tagged().trim_start_matches("sha256:").to_owned();
    let mut forged = bundle(&origin.older);
    let payload = STANDARD
        .decode(forged["dsseEnvelope"]["payload"].as_str().unwrap())
        .unwrap();
    let mut statement: Value = serde_json::from_slice(&payload).unwrap();
    statement["subject"][0]["digest"]["sha256"] = target.into();
    forged["dsseEnvelope"]["payload"] = STANDARD.encode(statement.to_string()).into();
    attached(forged.to_string().as_bytes(), "no key of the rule made it");
}

#[test]
fn statement_signed_later_than_it_was() {
    restated(
        |statement| statement["subject"][0]["annotations"]["dev.dunlin.signed-at"] = "2027-01-01T00:00:00Z".into(),
        "no key of the rule made it",
    );
}

#[test]
fn statement_of_another_kind() {
    restated(
        |statement| statement["predicateType"] = "https://slsa.dev/provenance/v1".into(),
        "not a signature",
    );
}

#[test]
fn statement_with_a_second_subject() {
    restated(
        |statement| {
            let second = json!({ "name": "more", "digest": { "sha256": "0".repeat(64) } });
            statement["subject"].as_array_mut().unwrap().push(second);
        },
        "no key of the rule made it",
    );
}

#[test]
fn envelope_of_another_type() {
    changed(
        |bundle| bundle["dsseEnvelope"]["payloadType"] = "text/plain".into(),
        "is not in-toto",
    );
}

#[test]
fn envelope_without_signatures() {
    changed(
        |bundle| bundle["dsseEnvelope"]["signatures"] = json!([]),
        "0 signatures instead of one",
    );
}

#[test]
fn envelope_with_a_cut_signature() {
    changed(
        |bundle| {
            let signature = bundle["dsseEnvelope"]["signatures"][0]["sig"].as_str().unwrap();
            let cut = STANDARD.encode(&STANDARD.decode(signature).unwrap()[..16]);
            bundle["dsseEnvelope"]["signatures"][0]["sig"] = cut.into();
        },
        "no key of the rule made it",
    );
}

#[test]
fn envelope_with_a_hundred_thousand_signatures() {
    changed(
        |bundle| {
            let one = bundle["dsseEnvelope"]["signatures"][0].clone();
            bundle["dsseEnvelope"]["signatures"] = vec![one; 100_000].into();
        },
        "sent more than",
    );
}

#[test]
fn bundle_cut_short() {
    let Some(origin) = Origin::get() else { return };
    let bytes = bundle(&origin.signed).to_string().into_bytes();
    attached(&bytes[..bytes.len() / 2], "it is not a Sigstore bundle");
}

#[test]
fn bundle_empty() {
    attached(b"it is not a Sigstore bundle", "");
}

#[test]
fn bundle_that_is_no_json() {
    attached(b"\x7fELF", "it is not a Sigstore bundle");
}

#[test]
fn bundle_too_deep_to_read() {
    let deep = [b"{\"other\":".to_vec(), vec![b'['; 100_000]].concat();
    attached(&deep, "it is not a Sigstore bundle");
}

#[test]
fn bundle_of_another_form() {
    changed(
        |bundle| bundle["mediaType"] = "application/vnd.dev.sigstore.bundle.v9+json".into(),
        "is not read",
    );
}

#[test]
fn bundle_too_large() {
    let Some(origin) = Origin::get() else { return };
    let mut bundle = bundle(&origin.signed).to_string().into_bytes();
    bundle.resize(64 << 20, b' ');
    attached(&bundle, "more bytes of signatures");
}
