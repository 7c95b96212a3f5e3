//! The store as typed: names, pins, garbage, damage, archives, copies between registries, mirrors.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::process::Command;

use dunlin_tests::{Machine, RegistryServer, program};

/// The smallest command: a wasip1 module that does nothing.
const MODULE: &[u8] = b"\0asm\x01\0\0\0\
    \x01\x04\x01\x60\0\0\
    \x03\x02\x01\0\
    \x07\x0a\x01\x06_start\0\0\
    \x0a\x04\x01\x02\0\x0b";
/// The smallest file that is ONNX.
const MODEL: &[u8] = &[0x08, 0x08, 0x3a, 0x03, 0x12, 0x01, b'g', 0x42, 0x02, 0x10, 0x11];

/// A machine with the signed module `demo/app:1`.
fn signed() -> Machine {
    let machine = Machine::new();
    machine.key("me");
    machine.write("app.wasm", MODULE);
    drop(machine.dunlin(&["pack", "--tag", "demo/app:1", "app.wasm"]).ok());
    drop(machine.dunlin(&["sign", "--key", "me.key", "demo/app:1"]).ok());
    machine
}

/// A machine that trusts the same key and has nothing.
fn other(machine: &Machine) -> Machine {
    let other = Machine::new();
    fs_err::copy(machine.path("me.pub"), other.path("me.pub")).unwrap();
    other
}

fn blobs(machine: &Machine) -> usize {
    let files = machine.store_files();
    files.iter().filter(|(name, _)| name.starts_with("blobs/")).count()
}

#[test]
fn what_nothing_names_is_collected_and_pins_stay() {
    let machine = signed();
    machine.write("model.onnx", MODEL);
    drop(machine.dunlin(&["pack", "--tag", "demo/model:1", "model.onnx"]).ok());
    drop(machine.dunlin(&["tag", "demo/app:1", "demo/app:stable"]).ok());
    drop(machine.dunlin(&["pin", "demo/model:1"]).ok());
    let before = blobs(&machine);
    drop(machine.dunlin(&["rm", "demo/app:1", "demo/model:1"]).ok());
    // The module has another name, the model a pin.
    drop(machine.dunlin(&["gc", "--grace", "0s"]).ok());
    assert_eq!(blobs(&machine), before);
    drop(machine.dunlin(&["verify", "--key", "me.pub", "demo/app:stable"]).ok());
    drop(machine.dunlin(&["rm", "demo/app:stable"]).ok());
    let planned = machine
        .dunlin(&["gc", "--grace", "0s", "--dry-run", "--output", "json"])
        .ok()
        .json();
    assert!(planned["freed_bytes"].as_u64().unwrap() > 0, "{planned}");
    assert_eq!(blobs(&machine), before, "a dry run removed something");
    let kept = machine.dunlin(&["gc", "--output", "json"]).ok().json();
    assert_eq!(kept["blobs"], 0, "what is new must stay: {kept}");
    let collected = machine.dunlin(&["gc", "--grace", "0s", "--output", "json"]).ok().json();
    assert_eq!(collected["freed_bytes"], planned["freed_bytes"]);
    let pins = machine.dunlin(&["pin", "--output", "json"]).ok().json();
    assert_eq!(pins[0]["name"], "demo/model:1", "{pins}");
    drop(machine.dunlin(&["pin", "--remove", "demo/model:1"]).ok());
    drop(machine.dunlin(&["gc", "--grace", "0s"]).ok());
    assert_eq!(blobs(&machine), 0);
}

#[test]
fn names_that_are_not_there_change_nothing() {
    let machine = signed();
    drop(machine.dunlin(&["rm", "demo/app:1", "demo/none:1"]).exits(3));
    drop(machine.dunlin(&["verify", "--key", "me.pub", "demo/app:1"]).ok());
    drop(machine.dunlin(&["tag", "demo/none:1", "demo/x:1"]).exits(3));
    drop(machine.dunlin(&["pin", "demo/none:1"]).exits(3));
}

#[test]
fn eviction_makes_room_down_to_the_low_watermark() {
    let machine = Machine::new();
    for number in 0..4_u8 {
        let mut bytes = MODEL.to_vec();
        // Another IR version makes another model.
        bytes[1] = 4 + number;
        machine.write("model.onnx", bytes);
        drop(
            machine
                .dunlin(&["pack", "--tag", &format!("demo/m:{number}"), "model.onnx"])
                .ok(),
        );
    }
    machine.write("node.toml", "[store]\nhigh_watermark = 2000\nlow_watermark = 1000\n");
    let options = [
        "gc",
        "--config",
        "node.toml",
        "--grace",
        "0s",
        "--evict",
        "--output",
        "json",
    ];
    let report = machine.dunlin(&options).ok().json();
    assert!(!report["evicted"].as_array().unwrap().is_empty(), "{report}");
    assert!(report["kept_bytes"].as_u64().unwrap() <= 1000, "{report}");
}

#[test]
fn damage_is_found_moved_aside_and_fetched_again() {
    let Some(registry) = RegistryServer::start() else {
        return;
    };
    let machine = signed();
    let remote = registry.reference("demo/app:1");
    drop(machine.dunlin(&["push", "--plain-http", "demo/app:1", &remote]).ok());
    let puller = other(&machine);
    let pull = ["pull", "--plain-http", "--key", "me.pub", &remote];
    drop(puller.dunlin(&pull).ok());
    drop(puller.dunlin(&["fsck"]).ok());
    let seen = puller
        .dunlin(&["inspect", "--key", "me.pub", "--output", "json", &remote])
        .ok()
        .json();
    let layer = puller.blob(seen["document"]["layers"][0]["digest"].as_str().unwrap());
    let mut bytes = fs_err::read(&layer).unwrap();
    bytes[10] ^= 1;
    fs_err::remove_file(&layer).unwrap();
    fs_err::write(&layer, bytes).unwrap();
    let found = puller.dunlin(&["fsck"]).exits(5);
    assert!(found.stdout.contains("corrupt: sha256:"), "{}", found.stdout);
    puller.dunlin(&["fsck", "--mend"]).exits(5).says("pull");
    assert!(!layer.exists());
    drop(puller.dunlin(&pull).ok());
    drop(puller.dunlin(&["fsck"]).ok());
}

#[test]
fn an_archive_crosses_the_air_gap_with_signatures_models_and_policy() {
    let machine = signed();
    machine.write("model.onnx", MODEL);
    machine.write("policy.txt", "the policy");
    drop(machine.dunlin(&["pack", "--tag", "demo/model:1", "model.onnx"]).ok());
    drop(
        machine
            .dunlin(&[
                "pack",
                "--tag",
                "demo/both:1",
                "--bundle",
                "--model",
                "m=demo/model:1",
                "app.wasm",
            ])
            .ok(),
    );
    drop(machine.dunlin(&["sign", "--key", "me.key", "demo/both:1"]).ok());
    let export = |file: &str| {
        drop(
            machine
                .dunlin(&["export", "--file", file, "--with-policy", "policy.txt", "demo/both:1"])
                .ok(),
        );
    };
    export("first.tar");
    export("second.tar");
    let archive = fs_err::read(machine.path("first.tar")).unwrap();
    assert_eq!(
        archive,
        fs_err::read(machine.path("second.tar")).unwrap(),
        "archives are reproducible"
    );

    let edge = other(&machine);
    fs_err::copy(machine.path("first.tar"), edge.path("a.tar")).unwrap();
    let imported = edge
        .dunlin(&["import", "--policy-to", "got.txt", "--output", "json", "a.tar"])
        .ok()
        .json();
    assert_eq!(imported["tagged"][0]["reference"], "demo/both:1", "{imported}");
    assert_eq!(fs_err::read_to_string(edge.path("got.txt")).unwrap(), "the policy");
    drop(edge.dunlin(&["verify", "--key", "me.pub", "demo/both:1"]).ok());
    drop(edge.dunlin(&["fsck"]).ok());

    let mut broken = archive;
    let at = broken.len() / 2;
    broken[at] ^= 1;
    let victim = other(&machine);
    victim.write("broken.tar", broken);
    victim.dunlin(&["import", "broken.tar"]).exits(5).did_not_crash();
    let listed = victim.dunlin(&["ls", "--output", "json"]).ok().json();
    assert!(listed.as_array().unwrap().is_empty(), "{listed}");
}

#[test]
fn an_exported_layout_is_read_by_skopeo_and_comes_back() {
    let machine = signed();
    drop(machine.dunlin(&["export", "--layout", "layout", "demo/app:1"]).ok());
    drop(machine.dunlin(&["export", "--layout", "layout", "demo/app:1"]).exits(7));
    let edge = other(&machine);
    let layout = machine.path("layout");
    drop(edge.dunlin(&["import", layout.to_str().unwrap()]).ok());
    drop(edge.dunlin(&["verify", "--key", "me.pub", "demo/app:1"]).ok());
    if program("skopeo") {
        let source = format!("oci:{}:demo/app:1", layout.display());
        let inspected = Command::new("skopeo")
            .args(["inspect", "--raw", &source])
            .output()
            .unwrap();
        assert!(
            inspected.status.success(),
            "{}",
            String::from_utf8_lossy(&inspected.stderr)
        );
    }
}

#[test]
fn a_copy_takes_the_signatures_along() {
    let (Some(first), Some(second)) = (RegistryServer::start(), RegistryServer::start()) else {
        return;
    };
    let machine = signed();
    let (from, to) = (first.reference("demo/app:1"), second.reference("mirror/app:2"));
    drop(machine.dunlin(&["push", "--plain-http", "demo/app:1", &from]).ok());
    let report = machine
        .dunlin(&["copy", "--plain-http", "--output", "json", &from, &to])
        .ok()
        .json();
    assert_eq!(report["referrers"], 1, "{report}");
    let puller = other(&machine);
    drop(puller.dunlin(&["pull", "--plain-http", "--key", "me.pub", &to]).ok());
}

#[test]
fn a_dead_mirror_is_passed_over_and_a_live_one_spares_the_registry() {
    let (Some(origin), Some(mirror)) = (RegistryServer::start(), RegistryServer::start()) else {
        return;
    };
    let machine = signed();
    let (at_origin, at_mirror) = (origin.reference("demo/app:1"), mirror.reference("cache/demo/app:1"));
    drop(machine.dunlin(&["push", "--plain-http", "demo/app:1", &at_origin]).ok());
    drop(machine.dunlin(&["push", "--plain-http", "demo/app:1", &at_mirror]).ok());
    let puller = other(&machine);
    puller.write(
        "node.toml",
        format!(
            "[[registry]]\nhost = \"{}\"\nplain_http = true\nmirrors = [\n  {{ endpoint = \"http://127.0.0.1:9\" }},\n  {{ endpoint = \"http://{}/cache\" }},\n]\n",
            origin.host(),
            mirror.host()
        ),
    );
    let pulled = puller
        .dunlin(&["pull", "--config", "node.toml", "--key", "me.pub", &at_origin])
        .ok();
    // Blobs came from the mirror: the events, one JSON object a line, say where they were asked for.
    let events: Vec<serde_json::Value> = pulled
        .stderr
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    assert!(events.iter().any(|event| event["event"] == "done"), "{}", pulled.stderr);
    drop(puller.dunlin(&["verify", "--key", "me.pub", &at_origin]).ok());
}

#[test]
fn progress_is_lines_for_programs_and_nothing_when_quiet() {
    let Some(registry) = RegistryServer::start() else {
        return;
    };
    let machine = signed();
    let remote = registry.reference("demo/app:1");
    let pushed = machine.dunlin(&["push", "--plain-http", "demo/app:1", &remote]).ok();
    assert!(
        pushed.stderr.lines().any(|line| line.starts_with("{\"event\":")),
        "{}",
        pushed.stderr
    );
    let puller = other(&machine);
    let quiet = puller
        .dunlin(&["pull", "--quiet", "--plain-http", "--key", "me.pub", &remote])
        .ok();
    assert_eq!(quiet.stderr, "");
}
