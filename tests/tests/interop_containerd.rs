//! containerd 1.6 (Debian's), 1.7 and 2.4 fetch what we push.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::collections::BTreeSet;

use dunlin_tests::{Containerd, ContainerdVersion, Publisher, RegistryServer};
use serde_json::Value;

/// All digests that a manifest or an index names, and its own.
fn digests(publisher: &Publisher, name: &str) -> BTreeSet<String> {
    let inspect = ["inspect", "--key", "ours.pub", "--output", "json"];
    let reference = format!("demo/{name}:1");
    let seen = publisher
        .machine()
        .dunlin(&[&inspect[..], &[&reference]].concat())
        .ok()
        .json();
    let mut found = BTreeSet::new();
    collect(&seen["document"], &mut found);
    found
}

fn collect(document: &Value, found: &mut BTreeSet<String>) {
    found.insert(document["digest"].as_str().unwrap().to_owned());
    for layer in document["layers"].as_array().into_iter().flatten() {
        found.insert(layer["digest"].as_str().unwrap().to_owned());
    }
    for child in document["manifests"].as_array().into_iter().flatten() {
        collect(child, found);
    }
}

#[test]
fn every_containerd_fetches_the_content_of_every_form() {
    let (Some(publisher), Some(registry)) = (Publisher::new(), RegistryServer::start()) else {
        return;
    };
    for version in ContainerdVersion::ALL {
        let Some(containerd) = Containerd::start(version) else {
            return;
        };
        for name in Publisher::ARTIFACTS {
            let reference = publisher.push(name, &registry);
            let fetch = ["content", "fetch", "--plain-http", "--all-platforms", &reference];
            drop(containerd.ctr(&fetch).ok());
            let there = containerd.ctr(&["content", "ls", "--quiet"]).ok().stdout;
            let there: BTreeSet<String> = there.lines().map(str::to_owned).collect();
            let missing: Vec<_> = digests(&publisher, name).difference(&there).cloned().collect();
            assert!(missing.is_empty(), "{version:?} {name}: {missing:?} of {there:?}");
        }
    }
}

/// 1.6 fetches everything, and then wants to unpack it as an image.
#[test]
fn newer_containerds_pull_modules_and_models_as_images() {
    let (Some(publisher), Some(registry)) = (Publisher::new(), RegistryServer::start()) else {
        return;
    };
    for version in ContainerdVersion::ALL {
        let Some(containerd) = Containerd::start(version) else {
            return;
        };
        for name in ["hello", "add"] {
            let pulled = containerd.pull(&publisher.push(name, &registry));
            if version == ContainerdVersion::V1_6 {
                assert_ne!(pulled.code, 0, "{pulled:#?}");
                pulled.says("mismatched image rootfs and manifest layers");
            } else {
                drop(pulled.ok());
            }
        }
    }
}
