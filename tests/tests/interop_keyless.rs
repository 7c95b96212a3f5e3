//! Keyless signing in the loopback Sigstore.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use dunlin_tests::{Output, Peer, Publisher, RegistryServer, Sigstore};

const ALICE: &str = "alice@example.com";

fn sign(cosign: &Peer, sigstore: &Sigstore, reference: &str) -> Output {
    let mut command = cosign.command(&["sign", "--yes", "--allow-http-registry", "--identity-token"]);
    command
        .arg(sigstore.token(ALICE))
        .arg("--signing-config")
        .arg(sigstore.signing_config())
        .arg("--trusted-root")
        .arg(sigstore.trusted_root())
        .arg(reference);
    Output::of(&mut command)
}

fn verify(cosign: &Peer, sigstore: &Sigstore, identity: &str, reference: &str) -> Output {
    let mut command = cosign.command(&["verify", "--allow-http-registry", "--use-signed-timestamps"]);
    command
        // There is no certificate transparency log here.
        .arg("--insecure-ignore-sct")
        .arg("--trusted-root")
        .arg(sigstore.trusted_root())
        .args(["--certificate-oidc-issuer", &sigstore.issuer()])
        .args(["--certificate-identity", identity, reference]);
    Output::of(&mut command)
}

#[test]
fn cosign_signs_and_verifies_in_the_loopback_sigstore() {
    let (Some(cosign), Some(publisher)) = (Peer::built("cosign", "cosign"), Publisher::new()) else {
        return;
    };
    let (Some(sigstore), Some(registry)) = (Sigstore::start(), RegistryServer::start()) else {
        return;
    };
    let reference = publisher.push("hello", &registry);
    let pinned = format!("{}@{}", reference.trim_end_matches(":1"), publisher.digest("hello"));
    drop(sign(&cosign, &sigstore, &pinned).ok());
    drop(verify(&cosign, &sigstore, ALICE, &pinned).ok());
    assert_ne!(verify(&cosign, &sigstore, "mallory@example.com", &pinned).code, 0);
    // A key's signature beside it is not enough for those who ask for an identity.
    let other = publisher.push("add", &registry);
    let other = format!("{}@{}", other.trim_end_matches(":1"), publisher.digest("add"));
    assert_ne!(verify(&cosign, &sigstore, ALICE, &other).code, 0);
}
