//! Signatures by identities, where the identity, its certificate, the log or the clock is not what it should be. The test
//! PKI's whole catalogue is in `models/sigstore/tests/flaws.rs`; here it is what a customer sees of it.

use std::sync::LazyLock;

use dunlin_test_pki::{Flaw, Identity, Pki, Signed};

use crate::{REFUSED, origin::Origin, scene::Scene};

static PKI: LazyLock<Pki> = LazyLock::new(Pki::new);
const ISSUER: &str = "https://issuer.example.com";
const SIGNER: &str = "dev@example.com";

/// A scene with this signature on the unsigned artifact, and its root at the customer's.
fn scene(origin: &Origin, make: impl FnOnce(&[u8]) -> Signed) -> Scene {
    let mut shelf = origin.unsigned.clone();
    let subject = shelf.tagged().to_owned();
    let signed = make(shelf.bytes(&subject));
    drop(shelf.attach(&subject, &signed.bundle_json()));
    let scene = Scene::of(origin, shelf);
    scene.customer.write("root.json", signed.root_json());
    scene
}

fn trusting<'a>(identity: &'a str, issuer: &'a str) -> [&'a str; 6] {
    [
        "--certificate-identity",
        identity,
        "--certificate-oidc-issuer",
        issuer,
        "--trusted-root",
        "root.json",
    ]
}

/// The signature with this flaw is refused, with this in the message.
fn flawed(flaw: Flaw, text: &str) {
    let Some(origin) = Origin::get() else { return };
    let scene = scene(origin, |bytes| {
        PKI.flawed(flaw).identity(Identity::person()).artifact(bytes).sign()
    });
    let output = scene.pull_by(&trusting(SIGNER, ISSUER)).exits(REFUSED);
    scene.leaves_nothing(&output, text);
}

fn good(bytes: &[u8]) -> Signed {
    PKI.case().identity(Identity::person()).artifact(bytes).sign()
}

#[test]
fn identity_that_is_right_is_let_in() {
    // Without this, the other cases might be refused for any reason at all.
    let Some(origin) = Origin::get() else { return };
    drop(scene(origin, good).pull_by(&trusting(SIGNER, ISSUER)).ok());
}

#[test]
fn identity_of_somebody_else() {
    let Some(origin) = Origin::get() else { return };
    let scene = scene(origin, good);
    let output = scene.pull_by(&trusting("boss@example.com", ISSUER)).exits(REFUSED);
    scene.leaves_nothing(&output, "made by dev@example.com, not by");
}

#[test]
fn identity_of_another_issuer() {
    let Some(origin) = Origin::get() else { return };
    let scene = scene(origin, good);
    let output = scene
        .pull_by(&trusting(SIGNER, "https://elsewhere.example.com"))
        .exits(REFUSED);
    scene.leaves_nothing(&output, "vouches for its signer");
}

#[test]
fn identity_signed_for_another_artifact() {
    let Some(origin) = Origin::get() else { return };
    let scene = scene(origin, |_| good(b"something else"));
    let output = scene.pull_by(&trusting(SIGNER, ISSUER)).exits(REFUSED);
    scene.leaves_nothing(&output, "is not about");
}

#[test]
fn identity_by_a_key_instead() {
    let Some(origin) = Origin::get() else { return };
    let scene = Scene::of(origin, origin.signed.clone());
    scene.customer.write("root.json", PKI.root_json());
    let output = scene.pull_by(&trusting(SIGNER, ISSUER)).exits(REFUSED);
    scene.leaves_nothing(&output, "made with a bare key");
}

#[test]
fn certificate_expired() {
    flawed(Flaw::ExpiredCertificate, "CertExpired");
}

#[test]
fn certificate_not_yet_valid() {
    flawed(Flaw::NotYetValidCertificate, "CertNotValidYet");
}

#[test]
fn certificate_of_a_foreign_authority() {
    flawed(Flaw::ForeignAuthority, "certificate is not trusted");
}

#[test]
fn certificate_that_no_log_has() {
    flawed(Flaw::NoSct, "missing SCT");
}

#[test]
fn certificate_of_another_signature() {
    flawed(Flaw::SwappedCertificate, "the signature is wrong");
}

#[test]
fn log_entry_missing() {
    flawed(Flaw::NoLogEntry, "not in a trusted transparency log");
}

#[test]
fn log_entry_replayed() {
    flawed(Flaw::ReplayedLogEntry, "is not about");
}

#[test]
fn log_entry_of_a_foreign_log() {
    flawed(Flaw::ForeignLog, "not in a trusted transparency log");
}

#[test]
fn trusted_root_that_is_none() {
    let Some(origin) = Origin::get() else { return };
    let scene = scene(origin, good);
    scene.customer.write("root.json", "{");
    let output = scene.pull_by(&trusting(SIGNER, ISSUER));
    assert_ne!(output.code, 0, "{output:#?}");
    scene.leaves_nothing(&output, "root.json");
}
