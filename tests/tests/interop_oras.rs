//! The real oras, both ways: it pulls what we push, we take what it pushes, its copies keep our signatures.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::collections::BTreeSet;

use dunlin_tests::{Machine, Peer, Publisher, RegistryKind, RegistryServer};
use sha2::{Digest as _, Sha256};

const REFUSED: i32 = 4;
const BUNDLE_TYPE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
const SIGN_PREDICATE: &str = "https://sigstore.dev/cosign/sign/v1";

fn oras() -> Option<Peer> {
    Peer::built("oras", "oras")
}

/// The files that oras pulled into its folder `name`, with their contents.
fn files(oras: &Peer, name: &str) -> BTreeSet<(String, Vec<u8>)> {
    let entries = fs_err::read_dir(oras.path(name)).unwrap();
    let file = |entry: fs_err::DirEntry| {
        let contents = fs_err::read(entry.path()).unwrap();
        (entry.file_name().to_string_lossy().into_owned(), contents)
    };
    entries.map(|entry| file(entry.unwrap())).collect()
}

#[test]
fn oras_pulls_every_form_that_we_push() {
    let (Some(oras), Some(publisher)) = (oras(), Publisher::new()) else {
        return;
    };
    let model = ("model.onnx".to_owned(), fs_err::read(publisher.model()).unwrap());
    let hello = (
        "command_hello.wasm".to_owned(),
        fs_err::read(publisher.hello()).unwrap(),
    );
    for kind in RegistryKind::ALL {
        let Some(registry) = RegistryServer::of(kind) else {
            return;
        };
        let pull = |name: &str| {
            let (remote, folder) = (publisher.push(name, &registry), format!("{name}-{kind:?}"));
            drop(oras.run(&["pull", "--plain-http", &remote, "-o", &folder]).ok());
            files(&oras, &folder)
        };
        assert_eq!(pull("add"), BTreeSet::from([model.clone()]), "{kind:?}");
        assert_eq!(pull("hello"), BTreeSet::from([hello.clone()]), "{kind:?}");
        let bundle = pull("app");
        assert!(bundle.contains(&model), "{kind:?}");
        let names: Vec<&str> = bundle.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["model.onnx", "nn_add.wasm"], "{kind:?}");
        assert_eq!(pull("fat"), bundle, "{kind:?}");
    }
}

#[test]
fn oras_lists_our_signature() {
    let (Some(oras), Some(publisher)) = (oras(), Publisher::new()) else {
        return;
    };
    for kind in RegistryKind::ALL {
        let Some(registry) = RegistryServer::of(kind) else {
            return;
        };
        let remote = publisher.push("app", &registry);
        let listed = oras
            .run(&["discover", "--plain-http", "--format", "json", &remote])
            .ok()
            .json();
        assert_eq!(listed["digest"], publisher.digest("app"), "{listed}");
        let referrers = listed["referrers"].as_array().unwrap();
        assert_eq!(referrers.len(), 1, "{kind:?}: {listed}");
        let expected = match kind {
            // It lists the config's media type instead.
            RegistryKind::Ggcr => "application/vnd.oci.empty.v1+json",
            _ => BUNDLE_TYPE,
        };
        assert_eq!(referrers[0]["artifactType"], expected, "{kind:?}");
        let annotations = &referrers[0]["annotations"];
        assert_eq!(
            annotations["dev.sigstore.bundle.predicateType"], SIGN_PREDICATE,
            "{kind:?}"
        );
    }
}

#[test]
fn a_recursive_copy_keeps_the_signature() {
    let (Some(oras), Some(publisher)) = (oras(), Publisher::new()) else {
        return;
    };
    let registries: Option<Vec<_>> = RegistryKind::ALL.into_iter().map(RegistryServer::of).collect();
    let Some(registries) = registries else { return };
    for from in &registries {
        let source = publisher.push("app", from);
        for to in &registries {
            let pair = format!("{:?}-to-{:?}", from.kind(), to.kind());
            let target = to.reference(&format!("copies/{}:1", pair.to_lowercase()));
            drop(
                oras.run(&["cp", "-r", "--from-plain-http", "--to-plain-http", &source, &target])
                    .ok(),
            );
            let customer = publisher.customer();
            let pull = |key: &str| customer.dunlin(&["pull", "--plain-http", "--key", key, &target]);
            drop(pull("rogue.pub").exits(REFUSED));
            drop(pull("ours.pub").ok());
            let ran = customer.dunlin(&["run", "--key", "ours.pub", &target]).ok();
            assert!(ran.stdout.contains("C = "), "{pair}: {ran:#?}");
        }
    }
}

#[test]
fn a_recursive_copy_to_a_layout_runs_as_it_lies() {
    let (Some(oras), Some(publisher)) = (oras(), Publisher::new()) else {
        return;
    };
    let Some(registry) = RegistryServer::start() else {
        return;
    };
    let remote = publisher.push("app", &registry);
    let target = ["--to-oci-layout", "layout:app"];
    drop(
        oras.run(&["cp", "-r", "--from-plain-http", &remote, target[0], target[1]])
            .ok(),
    );
    let customer = publisher.customer();
    let layout = format!("{}:app", oras.path("layout").display());
    drop(customer.dunlin(&["run", "--key", "rogue.pub", &layout]).exits(REFUSED));
    let ran = customer.dunlin(&["run", "--key", "ours.pub", &layout]).ok();
    assert!(ran.stdout.contains("C = "), "{ran:#?}");
}

#[test]
fn oras_reads_our_store_as_the_layout_that_it_is() {
    let (Some(oras), Some(publisher)) = (oras(), Publisher::new()) else {
        return;
    };
    let store = publisher.machine().store();
    let digest = publisher.digest("app");
    for kind in [RegistryKind::Debian, RegistryKind::Referrers] {
        let Some(registry) = RegistryServer::of(kind) else {
            return;
        };
        let target = registry.reference("team/from-store:1");
        let source = format!("{}@{digest}", store.display());
        drop(
            oras.run(&["cp", "-r", "--from-oci-layout", &source, "--to-plain-http", &target])
                .ok(),
        );
        let customer = publisher.customer();
        drop(
            customer
                .dunlin(&["pull", "--plain-http", "--key", "ours.pub", &target])
                .ok(),
        );
    }
}

/// Pulls what oras pushed, refused while nobody asks for the unsigned.
fn taken(reference: &str) -> Machine {
    let machine = Machine::new();
    machine.key("ours");
    drop(
        machine
            .dunlin(&["pull", "--plain-http", "--key", "ours.pub", reference])
            .exits(REFUSED),
    );
    drop(
        machine
            .dunlin(&["pull", "--plain-http", "--allow-unsigned", reference])
            .ok(),
    );
    machine
}

#[test]
fn we_take_what_oras_pushes() {
    let (Some(oras), Some(publisher)) = (oras(), Publisher::new()) else {
        return;
    };
    fs_err::copy(publisher.model(), oras.path("model.onnx")).unwrap();
    fs_err::copy(publisher.hello(), oras.path("hello.wasm")).unwrap();
    for kind in RegistryKind::ALL {
        let Some(registry) = RegistryServer::of(kind) else {
            return;
        };
        let push = |name: &str, arguments: &[&str]| {
            let reference = registry.reference(&format!("theirs/{name}:1"));
            let command = ["push", "--plain-http", &reference];
            drop(oras.run(&[&command[..], arguments].concat()).ok());
            reference
        };
        for (name, arguments) in [
            ("plain-model", &["model.onnx"][..]),
            (
                "typed-model",
                &[
                    "--artifact-type",
                    "application/vnd.example.m",
                    "model.onnx:application/vnd.example.onnx",
                ],
            ),
        ] {
            let reference = push(name, arguments);
            let inspect = ["inspect", "--allow-unsigned", "--output", "json", &reference];
            let seen = taken(&reference).dunlin(&inspect).ok().json();
            assert_eq!(seen["models"][0]["engine"], "tract", "{kind:?} {name}: {seen}");
        }
        for (name, arguments) in [
            ("plain-module", &["hello.wasm"][..]),
            ("typed-module", &["hello.wasm:application/wasm"]),
        ] {
            let reference = push(name, arguments);
            let ran = taken(&reference).dunlin(&["run", "--allow-unsigned", &reference]).ok();
            assert!(ran.stdout.contains("hello from"), "{kind:?} {name}: {ran:#?}");
        }
    }
}

#[test]
fn we_read_a_fat_artifact_that_oras_pushed() {
    let (Some(oras), Some(publisher)) = (oras(), Publisher::new()) else {
        return;
    };
    let Some(registry) = RegistryServer::start() else {
        return;
    };
    let (hello, model) = (
        fs_err::read(publisher.hello()).unwrap(),
        fs_err::read(publisher.model()).unwrap(),
    );
    let digest = |bytes: &[u8]| format!("sha256:{}", hex::encode(Sha256::digest(bytes)));
    let config = serde_json::json!({
        "architecture": "wasm",
        "os": "wasip2",
        "layerDigests": [digest(&hello), digest(&model)],
        "component": { "imports": [], "exports": [] },
    });
    oras.write("hello.wasm", &hello);
    oras.write("model.onnx", &model);
    oras.write("config.json", config.to_string());
    let reference = registry.reference("theirs/fat:1");
    drop(
        oras.run(&[
            "push",
            "--plain-http",
            "--config",
            "config.json:application/vnd.wasm.config.v0+json",
            &reference,
            "hello.wasm:application/wasm",
            "model.onnx:application/vnd.cncf.model.weight.v1.raw",
        ])
        .ok(),
    );
    let machine = taken(&reference);
    let ran = machine.dunlin(&["run", "--allow-unsigned", &reference]).ok();
    assert!(ran.stdout.contains("hello from"), "{ran:#?}");
    let inspect = ["inspect", "--allow-unsigned", "--output", "json", &reference];
    let seen = machine.dunlin(&inspect).ok().json();
    assert_eq!(seen["models"][0]["engine"], "tract", "{seen}");
}
