//! Updates over thin links: `push --delta-from` and what `pull` makes of it, with the bytes counted on the way.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::{
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use dunlin_tests::{CountingProxy, Edit, Machine, RegistryServer, Weights};
use serde_json::Value;

const NOT_FOUND: i32 = 3;
/// Manifests, signatures and HTTP headers of one pull.
const OVERHEAD: u64 = 64 << 10;
/// Kills of one update.
const KILLS: u32 = 20;

fn run(machine: &Machine, arguments: &[&str]) -> Value {
    let output = ["--output", "json"];
    machine.dunlin(&[arguments, &output].concat()).ok().json()
}

/// Packs, tags and signs a version of `demo/model`.
fn version(machine: &Machine, weights: &Weights, tag: &str) -> String {
    machine.write("model.safetensors", weights.safetensors());
    let name = format!("demo/model:{tag}");
    drop(machine.dunlin(&["pack", "--tag", &name, "model.safetensors"]).ok());
    drop(machine.dunlin(&["sign", "--key", "ours.key", &name]).ok());
    name
}

/// A publisher with two versions, of which the first is in a registry and at a customer.
struct Site {
    publisher: Machine,
    customer: Machine,
    registry: RegistryServer,
    proxy: CountingProxy,
    size: u64,
}

fn site(edit: Edit, tensor: usize) -> Option<Site> {
    let registry = RegistryServer::start()?;
    let proxy = CountingProxy::start(&registry.host());
    let publisher = Machine::new();
    publisher.key("ours");
    let first = Weights::new(1, 20, tensor);
    let second = first.edited(edit, 2);
    let site = Site {
        customer: Machine::new(),
        registry,
        proxy,
        size: second.safetensors().len() as u64,
        publisher,
    };
    version(&site.publisher, &first, "1");
    version(&site.publisher, &second, "2");
    fs_err::copy(site.publisher.path("ours.pub"), site.customer.path("ours.pub")).unwrap();
    site.push("demo/model:1", &[]);
    assert!(site.pull(&[]).1 > site.size);
    Some(site)
}

impl Site {
    /// Pushes a version to the one tag that the customer follows.
    fn push(&self, name: &str, more: &[&str]) -> Value {
        let remote = self.registry.reference("team/model:live");
        let push = ["push", "--plain-http", name, &remote];
        run(&self.publisher, &[&push, more].concat())
    }

    fn reference(&self) -> String {
        format!("{}/team/model:live", self.proxy.host())
    }

    /// What the customer's pull says, and the bytes that it took.
    fn pull(&self, more: &[&str]) -> (Value, u64) {
        let before = self.proxy.received();
        let reference = self.reference();
        let pull = ["pull", "--plain-http", "--key", "ours.pub", &reference];
        let said = run(&self.customer, &[&pull, more].concat());
        (said, self.proxy.received() - before)
    }

    fn has(&self, digest: &Value) -> bool {
        let blob = self.customer.blob(digest.as_str().unwrap());
        blob.exists() && sha256(&blob) == *digest
    }
}

/// By the system's own tool: not by the code under test.
fn sha256(path: &std::path::Path) -> String {
    let output = Command::new("sha256sum").arg(path).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    format!("sha256:{}", text.split_whitespace().next().unwrap_or_default())
}

#[test]
fn an_update_costs_what_has_changed() {
    for (edit, percent) in [(Edit::Header, 1), (Edit::Tenth, 12)] {
        let Some(site) = site(edit, 1 << 20) else { return };
        let pushed = site.push("demo/model:2", &["--delta-from", "demo/model:1"]);
        let update = &pushed["updates"][0];
        assert_eq!(update["file"], "model.safetensors");
        let delta = update["delta_bytes"].as_u64().unwrap();
        assert!(delta <= site.size * percent / 100, "{edit:?}: {update}");
        assert!(update["chunks_bytes"].as_u64().is_some(), "{edit:?}: {update}");
        let (pulled, received) = site.pull(&[]);
        assert!(
            received <= delta + OVERHEAD,
            "{edit:?}: {received} bytes for a delta of {delta}"
        );
        assert!(pulled["saved_bytes"].as_u64().unwrap() > site.size / 100 * (99 - percent));
        assert!(site.has(&update["digest"]));
        drop(
            site.customer
                .dunlin(&["verify", "--key", "ours.pub", &site.reference()])
                .ok(),
        );
        let again = site.pull(&[]).0;
        assert_eq!((&again["pulled_bytes"], &again["saved_bytes"]), (&0.into(), &0.into()));
    }
}

#[test]
fn whole_files_are_pulled_when_asked_for() {
    let Some(site) = site(Edit::Header, 256 << 10) else {
        return;
    };
    let update = &site.push("demo/model:2", &["--delta-from", "demo/model:1"])["updates"][0];
    let (pulled, received) = site.pull(&["--no-delta"]);
    assert!(received > site.size);
    assert_eq!(pulled["saved_bytes"], 0);
    assert!(site.has(&update["digest"]));
}

#[test]
fn copies_carry_the_deltas_along() {
    let Some(site) = site(Edit::Tenth, 256 << 10) else {
        return;
    };
    let Some(other) = RegistryServer::start() else { return };
    let update = &site.push("demo/model:2", &["--delta-from", "demo/model:1"])["updates"][0];
    let source = site.registry.reference("team/model:live");
    let target = other.reference("team/model:live");
    let copied = run(&site.publisher, &["copy", "--plain-http", &source, &target]);
    assert_eq!(copied["referrers"], 3, "the signature, the delta, the chunks");
    let pull = ["pull", "--plain-http", "--key", "ours.pub", &target];
    let pulled = run(&site.customer, &pull);
    assert!(
        pulled["saved_bytes"].as_u64().unwrap() > site.size / 100 * 85,
        "{pulled}"
    );
    assert!(site.has(&update["digest"]));
}

#[test]
fn bundles_are_updated_by_their_parts() {
    let Some(wasm) = dunlin_tests::cached("guests/nn_add.wasm") else {
        return;
    };
    let Some(registry) = RegistryServer::start() else {
        return;
    };
    let (publisher, customer) = (Machine::new(), Machine::new());
    publisher.key("ours");
    fs_err::copy(publisher.path("ours.pub"), customer.path("ours.pub")).unwrap();
    let first = Weights::new(1, 20, 128 << 10);
    let remote = registry.reference("team/app:live");
    let pull = ["pull", "--plain-http", "--key", "ours.pub", &remote];
    for (tag, weights, base) in [
        ("1", first.clone(), None),
        ("2", first.edited(Edit::Tenth, 2), Some("demo/app:1")),
    ] {
        let model = version(&publisher, &weights, tag);
        let (name, link) = (format!("demo/app:{tag}"), format!("add={model}"));
        let wasm = wasm.to_str().unwrap();
        drop(
            publisher
                .dunlin(&["pack", "--tag", &name, "--bundle", "--model", &link, wasm])
                .ok(),
        );
        drop(publisher.dunlin(&["sign", "--key", "ours.key", &name]).ok());
        let push = ["push", "--plain-http", &name, &remote];
        let more: Vec<&str> = base.into_iter().flat_map(|base| ["--delta-from", base]).collect();
        let pushed = run(&publisher, &[&push, more.as_slice()].concat());
        assert_eq!(pushed["updates"].as_array().map(Vec::len), base.map(|_| 1));
        let pulled = run(&customer, &pull);
        let saved = pulled["saved_bytes"].as_u64().unwrap();
        assert_eq!(saved > 2 << 20, base.is_some(), "{pulled}");
    }
}

#[test]
fn the_older_version_must_be_there() {
    let Some(site) = site(Edit::Header, 64 << 10) else {
        return;
    };
    let remote = site.registry.reference("team/model:live");
    let push = ["push", "--plain-http", "demo/model:2", &remote, "--delta-from"];
    let missing = site.publisher.dunlin(&[&push[..], &["demo/none:1"]].concat());
    let missing = missing.exits(NOT_FOUND);
    missing.says("demo/none:1").says("hint:");
    let same = run(&site.publisher, &[&push[..], &["demo/model:2"]].concat());
    assert_eq!(same["updates"].as_array().unwrap().len(), 0);
}

#[test]
fn kills_during_an_update_corrupt_nothing_and_are_made_up_for() {
    // A tenth of it is more than a journal lets get lost.
    let Some(site) = site(Edit::Tenth, 4 << 20) else { return };
    let update = &site.push("demo/model:2", &["--delta-from", "demo/model:1"])["updates"][0];
    let delta = update["delta_bytes"].as_u64().unwrap();
    let blob = site.customer.blob(update["digest"].as_str().unwrap());
    let reference = site.reference();
    let before = site.proxy.received();
    for kill in 0..KILLS {
        let mut child = site
            .customer
            .command(&["pull", "--plain-http", "--key", "ours.pub", &reference])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Some fall into the transfer, some into the work after it; when exactly does not matter.
        let wanted = site.proxy.received() + u64::from(kill % 4) * delta / 3;
        while child.try_wait().unwrap().is_none() && site.proxy.received() < wanted {
            thread::sleep(Duration::from_millis(1));
        }
        thread::sleep(Duration::from_millis(u64::from(kill) * 7));
        // It may have ended by itself.
        drop(child.kill());
        drop(child.wait());
        if blob.exists() {
            assert_eq!(sha256(&blob), update["digest"], "after kill {kill}");
        }
    }
    site.pull(&[]);
    assert!(site.has(&update["digest"]));
    let received = site.proxy.received() - before;
    let allowed = delta + u64::from(KILLS + 1) * ((3 << 20) + OVERHEAD);
    assert!(received <= allowed, "{received} bytes, {allowed} are allowed");
    drop(site.customer.dunlin(&["gc"]).ok());
    let store = site.customer.store_files();
    let leftovers: Vec<_> = store.iter().filter(|(name, _)| name.starts_with("ingest/")).collect();
    assert!(leftovers.is_empty(), "left in the store: {leftovers:?}");
    drop(site.customer.dunlin(&["fsck"]).ok());
}
