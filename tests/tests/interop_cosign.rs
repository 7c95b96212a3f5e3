//! The real cosign with keys, without any network: it verifies our signatures, and we verify its.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use dunlin_tests::{Machine, Output, Peer, Publisher, RegistryKind, RegistryServer};

const REFUSED: i32 = 4;

/// cosign with a key pair `cosign.key` and `cosign.pub`, a signing configuration that names no service, and an empty root:
/// without them it asks the public Sigstore.
fn cosign() -> Option<Peer> {
    let cosign = Peer::built("cosign", "cosign")?;
    let run = |arguments: &[&str]| drop(quietly(&cosign, arguments).ok());
    run(&["generate-key-pair"]);
    run(&["signing-config", "create", "--out", "nobody.json"]);
    run(&["trusted-root", "create", "--out", "no-root.json"]);
    Some(cosign)
}

/// Its keys have an empty password.
fn quietly(cosign: &Peer, arguments: &[&str]) -> Output {
    Output::of(cosign.command(arguments).env("COSIGN_PASSWORD", ""))
}

fn sign(cosign: &Peer, key: &str, reference: &str, digest: &str) {
    let pinned = format!("{}@{digest}", reference.trim_end_matches(":1"));
    let network = [
        "--allow-http-registry",
        "--signing-config",
        "nobody.json",
        "--trusted-root",
        "no-root.json",
    ];
    let arguments = [&["sign", "--yes", "--key", key][..], &network, &[&pinned]].concat();
    let signed = quietly(cosign, &arguments).ok();
    assert!(
        !signed.stderr.contains("TUF"),
        "it asked the public Sigstore: {signed:#?}"
    );
}

fn verify(cosign: &Peer, key: &str, reference: &str) -> Output {
    let arguments = [
        "verify",
        "--key",
        key,
        "--insecure-ignore-tlog",
        "--allow-http-registry",
        reference,
    ];
    quietly(cosign, &arguments)
}

fn pull(machine: &Machine, key: &str, reference: &str) -> Output {
    machine.dunlin(&["pull", "--plain-http", "--key", key, reference])
}

#[test]
fn cosign_verifies_our_signature() {
    let (Some(cosign), Some(publisher)) = (cosign(), Publisher::new()) else {
        return;
    };
    fs_err::copy(publisher.machine().path("ours.pub"), cosign.path("ours.pub")).unwrap();
    for kind in RegistryKind::ALL {
        let Some(registry) = RegistryServer::of(kind) else {
            return;
        };
        for name in Publisher::ARTIFACTS {
            let reference = publisher.push(name, &registry);
            let verified = verify(&cosign, "ours.pub", &reference).ok().json();
            let digest = &verified[0]["critical"]["image"]["docker-manifest-digest"];
            assert_eq!(*digest, publisher.digest(name), "{kind:?}: {verified}");
            assert_ne!(verify(&cosign, "cosign.pub", &reference).code, 0, "{kind:?} {name}");
        }
    }
}

#[test]
fn we_verify_cosigns_signature() {
    let (Some(cosign), Some(publisher)) = (cosign(), Publisher::new()) else {
        return;
    };
    for kind in RegistryKind::ALL {
        let Some(registry) = RegistryServer::of(kind) else {
            return;
        };
        for name in Publisher::ARTIFACTS {
            let reference = publisher.push(name, &registry);
            let customer = publisher.customer();
            fs_err::copy(cosign.path("cosign.pub"), customer.path("cosign.pub")).unwrap();
            drop(pull(&customer, "cosign.pub", &reference).exits(REFUSED));
            sign(&cosign, "cosign.key", &reference, &publisher.digest(name));
            drop(pull(&customer, "rogue.pub", &reference).exits(REFUSED));
            drop(pull(&customer, "cosign.pub", &reference).ok());
            drop(customer.dunlin(&["verify", "--key", "cosign.pub", &reference]).ok());
        }
    }
}

#[test]
fn signatures_of_both_stand_side_by_side() {
    let (Some(cosign), Some(publisher)) = (cosign(), Publisher::new()) else {
        return;
    };
    fs_err::copy(publisher.machine().path("ours.pub"), cosign.path("ours.pub")).unwrap();
    for kind in RegistryKind::ALL {
        let Some(registry) = RegistryServer::of(kind) else {
            return;
        };
        let reference = publisher.push("hello", &registry);
        sign(&cosign, "cosign.key", &reference, &publisher.digest("hello"));
        // Pushing again must not take cosign's away.
        assert_eq!(publisher.push("hello", &registry), reference);
        for key in ["ours.pub", "cosign.pub"] {
            drop(verify(&cosign, key, &reference).ok());
            let customer = publisher.customer();
            fs_err::copy(cosign.path(key), customer.path(key)).unwrap();
            drop(pull(&customer, key, &reference).ok());
        }
    }
}

#[test]
fn cosign_imports_and_uses_our_key() {
    let (Some(cosign), Some(publisher)) = (cosign(), Publisher::new()) else {
        return;
    };
    let Some(registry) = RegistryServer::start() else {
        return;
    };
    fs_err::copy(publisher.machine().path("ours.key"), cosign.path("ours.key")).unwrap();
    drop(
        quietly(
            &cosign,
            &[
                "import-key-pair",
                "--key",
                "ours.key",
                "--output-key-prefix",
                "imported",
            ],
        )
        .ok(),
    );
    let unsigned = publisher.machine();
    let wasm = publisher.hello().to_string_lossy().into_owned();
    drop(
        unsigned
            .dunlin(&["pack", "--tag", "demo/bare:1", "--annotation", "a=b", &wasm])
            .ok(),
    );
    let reference = publisher.push("bare", &registry);
    let customer = publisher.customer();
    drop(pull(&customer, "ours.pub", &reference).exits(REFUSED));
    sign(&cosign, "imported.key", &reference, &publisher.digest("bare"));
    drop(pull(&customer, "ours.pub", &reference).ok());
}
