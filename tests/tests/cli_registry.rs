//! `push` and `pull` against a real registry without the referrers API, and what goes wrong on the way.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::process::Command;

use dunlin_tests::{Machine, RegistryServer, cached, free_port, program};

const REFUSED: i32 = 4;
const CORRUPT: i32 = 5;
const NETWORK: i32 = 6;

/// A registry with a signed bundle of `nn_add` and its model, and the machine that pushed it.
fn published() -> Option<(RegistryServer, Machine, String)> {
    let (wasm, model) = (cached("guests/nn_add.wasm")?, cached("fixtures/add/model.onnx")?);
    let registry = RegistryServer::start()?;
    let machine = Machine::new();
    machine.key("ours");
    drop(
        machine
            .dunlin(&["pack", "--tag", "demo/add:1", model.to_str().unwrap()])
            .ok(),
    );
    let wasm = wasm.to_str().unwrap();
    drop(
        machine
            .dunlin(&[
                "pack",
                "--tag",
                "demo/app:1",
                "--bundle",
                "--model",
                "add=demo/add:1",
                wasm,
            ])
            .ok(),
    );
    drop(machine.dunlin(&["sign", "--key", "ours.key", "demo/app:1"]).ok());
    let remote = registry.reference("team/app:1");
    drop(machine.dunlin(&["push", "--plain-http", "demo/app:1", &remote]).ok());
    Some((registry, machine, remote))
}

/// Another machine that trusts the publisher's key.
fn customer(publisher: &Machine) -> Machine {
    let machine = Machine::new();
    fs_err::copy(publisher.path("ours.pub"), machine.path("ours.pub")).unwrap();
    machine
}

#[test]
fn a_signed_bundle_travels_and_runs_offline() {
    let Some((registry, publisher, remote)) = published() else {
        return;
    };
    let machine = customer(&publisher);
    let pulled = machine
        .dunlin(&["pull", "--plain-http", "--key", "ours.pub", "--output", "json", &remote])
        .ok()
        .json();
    assert!(pulled["pulled_bytes"].as_u64().unwrap() > 0);
    let local = publisher.dunlin(&["ls", "--output", "json"]).ok().json();
    let bundle = local
        .as_array()
        .unwrap()
        .iter()
        .find(|entry| entry["name"] == "demo/app:1")
        .unwrap();
    assert_eq!(pulled["digest"], bundle["digest"]);
    drop(registry);
    drop(machine.dunlin(&["verify", "--key", "ours.pub", &remote]).ok());
    let ran = machine.dunlin(&["run", "--key", "ours.pub", &remote]).ok();
    assert!(ran.stdout.contains("C = "), "{ran:#?}");
}

#[test]
fn run_pulls_what_is_not_there() {
    let Some((_registry, publisher, remote)) = published() else {
        return;
    };
    let machine = customer(&publisher);
    let ran = machine
        .dunlin(&["run", "--plain-http", "--key", "ours.pub", &remote])
        .ok();
    assert!(ran.stdout.contains("C = "), "{ran:#?}");
}

#[test]
fn a_refused_pull_fetches_no_layer_and_leaves_the_store_as_it_was() {
    let Some((_registry, publisher, remote)) = published() else {
        return;
    };
    let machine = customer(&publisher);
    machine.key("rogue");
    drop(machine.dunlin(&["ls"]).ok());
    let before = machine.store_files();
    let refused = machine
        .dunlin(&["pull", "--plain-http", "--key", "rogue.pub", &remote])
        .exits(REFUSED);
    refused.did_not_crash();
    let after = machine.store_files();
    let largest = after
        .iter()
        .filter(|file| !before.contains(file))
        .map(|(_, size)| *size)
        .max()
        .unwrap_or(0);
    assert!(largest < 16 << 10, "layers were fetched: {after:?}");
    let listed = machine.dunlin(&["ls", "--output", "json"]).ok().json();
    assert_eq!(listed.as_array().unwrap().len(), 0);
    machine
        .dunlin(&["pull", "--plain-http", &remote])
        .exits(REFUSED)
        .says("no trust policy");
}

#[test]
fn pulling_twice_fetches_nothing_again() {
    let Some((_registry, publisher, remote)) = published() else {
        return;
    };
    let machine = customer(&publisher);
    let pull = || {
        machine
            .dunlin(&["pull", "--plain-http", "--key", "ours.pub", "--output", "json", &remote])
            .ok()
            .json()
    };
    let (first, second) = (pull(), pull());
    assert_eq!(first["digest"], second["digest"]);
    assert!(second["pulled_bytes"].as_u64().unwrap() < 32 << 10, "{second}");
}

#[test]
fn bytes_that_rot_in_the_registry_are_refused() {
    let Some((registry, publisher, remote)) = published() else {
        return;
    };
    let seen = publisher
        .dunlin(&["inspect", "--output", "json", "demo/app:1"])
        .ok()
        .json();
    let layer = seen["document"]["manifests"][0]["layers"][0]["digest"]
        .as_str()
        .unwrap()
        .to_owned();
    let blob = registry.blob(&layer);
    let mut bytes = fs_err::read(&blob).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs_err::write(&blob, &bytes).unwrap();
    let machine = customer(&publisher);
    machine
        .dunlin(&["pull", "--plain-http", "--key", "ours.pub", &remote])
        .exits(CORRUPT)
        .did_not_crash();
    assert!(!machine.blob(&layer).exists(), "a damaged blob became visible");
    bytes.truncate(middle);
    fs_err::write(&blob, &bytes).unwrap();
    let cut = machine.dunlin(&["pull", "--plain-http", "--key", "ours.pub", &remote]);
    assert!(cut.code == CORRUPT || cut.code == NETWORK, "{cut:#?}");
    assert!(!machine.blob(&layer).exists(), "a truncated blob became visible");
}

#[test]
fn no_network_and_no_such_artifact_are_clear_errors() {
    let machine = Machine::new();
    machine.key("ours");
    let nowhere = format!("127.0.0.1:{}/team/app:1", free_port());
    let refused = machine
        .dunlin(&["pull", "--plain-http", "--key", "ours.pub", &nowhere])
        .exits(NETWORK);
    refused.did_not_crash().says(&nowhere);
    let Some(registry) = RegistryServer::start() else {
        return;
    };
    let missing = registry.reference("team/none:1");
    machine
        .dunlin(&["pull", "--plain-http", "--key", "ours.pub", &missing])
        .exits(3)
        .says("team/none");
    machine
        .dunlin(&["pull", "--key", "ours.pub", &missing])
        .exits(NETWORK)
        .says("hint:");
}

#[test]
fn skopeo_reads_what_we_push_and_we_read_its_layout() {
    if !program("skopeo") {
        return;
    }
    let Some((_registry, publisher, remote)) = published() else {
        return;
    };
    let machine = customer(&publisher);
    let layout = machine.path("layout");
    let copied = Command::new("skopeo")
        .args(["copy", "--all", "--src-tls-verify=false", "--quiet"])
        .arg(format!("docker://{remote}"))
        .arg(format!("oci:{}:app", layout.display()))
        .output()
        .unwrap();
    assert!(copied.status.success(), "{}", String::from_utf8_lossy(&copied.stderr));
    let seen = machine
        .dunlin(&["inspect", "--output", "json", "./layout:app"])
        .ok()
        .json();
    // skopeo 1.9 drops an index's artifactType, and with it the digest that was signed; the parts stay what they are.
    let parts = seen["document"]["manifests"].as_array().unwrap();
    let kinds: Vec<&str> = parts.iter().map(|part| part["kind"].as_str().unwrap()).collect();
    assert_eq!(
        kinds,
        [
            "application/vnd.wasm.config.v0+json",
            "application/vnd.cncf.model.manifest.v1+json"
        ]
    );
    let ran = machine.dunlin(&["run", "--allow-unsigned", "./layout:app"]).ok();
    assert!(ran.stdout.contains("C = "), "{ran:#?}");
}
