//! Packing, listing, inspecting, signing and verifying, as typed.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use dunlin_tests::{Machine, cached, program};

/// The smallest command: a wasip1 module that does nothing.
const MODULE: &[u8] = b"\0asm\x01\0\0\0\
    \x01\x04\x01\x60\0\0\
    \x03\x02\x01\0\
    \x07\x0a\x01\x06_start\0\0\
    \x0a\x04\x01\x02\0\x0b";

fn packed_module() -> Machine {
    let machine = Machine::new();
    machine.write("app.wasm", MODULE);
    drop(machine.dunlin(&["pack", "--tag", "demo/app:1", "app.wasm"]).ok());
    machine
}

#[test]
fn a_module_is_packed_listed_signed_and_verified() {
    let machine = packed_module();
    machine.key("me");
    let listed = machine.dunlin(&["ls", "--output", "json"]).ok().json();
    assert_eq!(listed[0]["name"], "demo/app:1");
    assert_eq!(listed[0]["kind"], "module");
    assert_eq!(listed[0]["signatures"], 0);
    drop(machine.dunlin(&["sign", "--key", "me.key", "demo/app:1"]).ok());
    let listed = machine.dunlin(&["ls", "--output", "json"]).ok().json();
    assert_eq!(
        listed.as_array().unwrap().len(),
        1,
        "the signature's own tag is not listed: {listed}"
    );
    assert_eq!(listed[0]["signatures"], 1);
    let verified = machine
        .dunlin(&["verify", "--key", "me.pub", "--output", "json", "demo/app:1"])
        .ok()
        .json();
    assert_eq!(verified["digest"], listed[0]["digest"]);
    assert_eq!(verified["rule"], "--key");
}

#[test]
fn packing_is_reproducible() {
    let digest = |machine: &Machine| {
        let report = machine
            .dunlin(&["pack", "--tag", "demo/app:1", "--output", "json", "app.wasm"])
            .ok()
            .json();
        report["digest"].as_str().unwrap().to_owned()
    };
    let (first, second) = (packed_module(), packed_module());
    assert_eq!(digest(&first), digest(&second));
}

#[test]
fn inspect_shows_an_unsigned_artifact_and_why_it_is_not_admitted() {
    let machine = packed_module();
    let seen = machine
        .dunlin(&["inspect", "--output", "json", "demo/app:1"])
        .ok()
        .json();
    assert_eq!(seen["verdict"]["admitted"], false);
    assert!(
        seen["verdict"]["reason"].as_str().unwrap().contains("no trust policy"),
        "{seen}"
    );
    assert_eq!(seen["document"]["layers"][0]["media_type"], "application/wasm");
    assert!(seen["module"].is_null(), "nothing is opened before the verdict: {seen}");
    let seen = machine
        .dunlin(&["inspect", "--allow-unsigned", "--output", "json", "demo/app:1"])
        .ok()
        .json();
    assert_eq!(seen["module"]["world"], "command");
}

#[test]
fn inspect_says_which_engine_runs_a_model_and_why() {
    let Some(model) = cached("fixtures/add/model.onnx") else {
        return;
    };
    let machine = Machine::new();
    let seen = machine
        .dunlin(&[
            "inspect",
            "--allow-unsigned",
            "--output",
            "json",
            model.to_str().unwrap(),
        ])
        .ok()
        .json();
    assert_eq!(seen["models"][0]["engine"], "tract", "{seen}");
    assert!(!seen["models"][0]["reason"].as_str().unwrap().is_empty());
    assert_eq!(
        seen["models"][0]["candidates"][0]["inputs"].as_array().unwrap().len(),
        2,
        "{seen}"
    );
}

#[test]
fn keys_are_never_overwritten_and_private() {
    use std::os::unix::fs::PermissionsExt as _;
    let machine = Machine::new();
    machine.key("me");
    let before = fs_err::read(machine.path("me.key")).unwrap();
    let again = machine.dunlin(&["generate-key-pair", "--output-prefix", "me"]).exits(7);
    again.says("me.key");
    assert_eq!(fs_err::read(machine.path("me.key")).unwrap(), before);
    let mode = fs_err::metadata(machine.path("me.key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn openssl_verifies_what_we_sign_and_reads_our_keys() {
    if !program("openssl") {
        return;
    }
    let machine = packed_module();
    machine.key("me");
    let key = machine.path("me.pub");
    let shown = std::process::Command::new("openssl")
        .args(["pkey", "-pubin", "-noout", "-text", "-in"])
        .arg(&key)
        .output();
    let text = String::from_utf8_lossy(&shown.unwrap().stdout).into_owned();
    assert!(text.contains("prime256v1") || text.contains("P-256"), "{text}");
}

#[test]
fn a_bundle_is_one_digest_over_module_and_model() {
    let Some(model) = cached("fixtures/add/model.onnx") else {
        return;
    };
    let machine = packed_module();
    drop(
        machine
            .dunlin(&["pack", "--tag", "demo/add:1", model.to_str().unwrap()])
            .ok(),
    );
    drop(
        machine
            .dunlin(&[
                "pack",
                "--tag",
                "demo/all:1",
                "--bundle",
                "--model",
                "add=demo/add:1",
                "app.wasm",
            ])
            .ok(),
    );
    let listed = machine.dunlin(&["ls", "--output", "json"]).ok().json();
    let kinds: Vec<&str> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["model", "bundle", "module"], "{listed}");
    machine.key("me");
    drop(machine.dunlin(&["sign", "--key", "me.key", "demo/all:1"]).ok());
    let seen = machine
        .dunlin(&["inspect", "--key", "me.pub", "--output", "json", "demo/all:1"])
        .ok()
        .json();
    assert_eq!(seen["verdict"]["admitted"], true, "{seen}");
    assert_eq!(seen["models"][0]["name"], "add");
}

#[test]
fn usage_errors_have_their_code() {
    let machine = packed_module();
    for arguments in [
        &["pack", "--tag", "Not/Valid:1", "app.wasm"][..],
        &["pack", "--tag", "a:1", "app.wasm", "app.wasm"],
        &["push", "demo/app:1"],
        &["pull", "demo/app:1"],
        &["no-such-command"],
        &["ls", "--no-such-option"],
    ] {
        machine.dunlin(arguments).exits(2).did_not_crash();
    }
    for arguments in [
        &["verify", "demo/none:1"][..],
        &["inspect", "demo/none:1"],
        &["run", "./none.wasm"],
        &["pack", "--tag", "a:1", "none.wasm"],
        &["sign", "--key", "none.key", "demo/app:1"],
        &["verify", "--key", "none.pub", "demo/app:1"],
    ] {
        machine.dunlin(arguments).exits(3).did_not_crash();
    }
}

#[test]
fn what_is_not_what_it_is_called_is_not_packed() {
    let machine = Machine::new();
    let elf = [&b"\x7fELF"[..], &[0; 60]].concat();
    for (name, bytes) in [
        ("a.wasm", &b"not wasm"[..]),
        ("b.wasm", &elf),
        ("c.onnx", b"not onnx"),
        ("d.gguf", b"GGU"),
    ] {
        machine.write(name, bytes);
        let refused = machine.dunlin(&["pack", "--tag", "x:1", name]);
        assert!(refused.code != 0, "{refused:#?}");
        refused.did_not_crash().says(name);
    }
    let listed = machine.dunlin(&["ls", "--output", "json"]).ok().json();
    assert_eq!(listed.as_array().unwrap().len(), 0);
}

#[test]
fn completions_are_printed() {
    let machine = Machine::new();
    let script = machine.dunlin(&["completions", "bash"]).ok();
    assert!(script.stdout.contains("generate-key-pair"));
}
