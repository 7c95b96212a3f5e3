//! Signed or it does not load: every way in which an artifact is not what a policy admits.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::path::Path;

use dunlin_tests::{Machine, cached};

const REFUSED: i32 = 4;
const CORRUPT: i32 = 5;

/// A machine with a signed bundle of the hello command, and a policy that admits the key `ours`.
fn machine() -> Option<Machine> {
    let wasm = cached("guests/command_hello.wasm")?;
    let machine = Machine::new();
    machine.key("ours");
    machine.key("rogue");
    policy(&machine, "ours.pub", "");
    drop(
        machine
            .dunlin(&["pack", "--tag", "demo/hello:1", wasm.to_str().unwrap()])
            .ok(),
    );
    Some(machine)
}

fn policy(machine: &Machine, key: &str, spec: &str) {
    let text = format!(
        "apiVersion: dunlin.dev/v1alpha1\nkind: TrustPolicy\nmetadata: {{ name: test }}\nspec:\n{spec}  rules:\n    - name: ours\n      match: [\"demo/*\"]\n      require: {{ any: [ {{ key: {{ file: {key} }} }} ] }}\n"
    );
    machine.write("policy.yaml", text);
}

fn sign(machine: &Machine, key: &str) {
    drop(machine.dunlin(&["sign", "--key", key, "demo/hello:1"]).ok());
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs_err::read(path).unwrap();
    let at = at.min(bytes.len() - 1);
    bytes[at] ^= 1;
    fs_err::remove_file(path).unwrap();
    fs_err::write(path, bytes).unwrap();
}

#[test]
fn a_signed_artifact_runs() {
    let Some(machine) = machine() else { return };
    sign(&machine, "ours.key");
    let ran = machine.dunlin(&["run", "demo/hello:1"]).ok();
    assert!(ran.stdout.contains("hello from command_hello"), "{ran:#?}");
}

#[test]
fn unsigned_is_refused() {
    let Some(machine) = machine() else { return };
    machine
        .dunlin(&["run", "demo/hello:1"])
        .exits(REFUSED)
        .says("no signature");
}

#[test]
fn another_key_is_refused_and_the_message_says_why() {
    let Some(machine) = machine() else { return };
    sign(&machine, "rogue.key");
    let refused = machine.dunlin(&["run", "demo/hello:1"]).exits(REFUSED);
    refused.says("do not satisfy rule").says("  - ");
    sign(&machine, "ours.key");
    drop(machine.dunlin(&["run", "demo/hello:1"]).ok());
}

#[test]
fn a_name_that_no_rule_matches_is_refused() {
    let Some(machine) = machine() else { return };
    let wasm = cached("guests/command_hello.wasm").unwrap();
    drop(
        machine
            .dunlin(&["pack", "--tag", "elsewhere/hello:1", wasm.to_str().unwrap()])
            .ok(),
    );
    drop(machine.dunlin(&["sign", "--key", "ours.key", "elsewhere/hello:1"]).ok());
    machine
        .dunlin(&["run", "elsewhere/hello:1"])
        .exits(REFUSED)
        .says("no rule");
}

#[test]
fn without_a_policy_nothing_is_admitted() {
    let Some(machine) = machine() else { return };
    sign(&machine, "ours.key");
    fs_err::remove_file(machine.path("policy.yaml")).unwrap();
    machine
        .dunlin(&["run", "demo/hello:1"])
        .exits(REFUSED)
        .says("no trust policy")
        .says("hint:");
    drop(machine.dunlin(&["run", "--key", "ours.pub", "demo/hello:1"]).ok());
}

#[test]
fn an_invalid_policy_refuses_everything() {
    let Some(machine) = machine() else { return };
    sign(&machine, "ours.key");
    for (spec, complaint) in [
        ("  modee: enforce\n", "modee"),
        ("  mode: relaxed\n", "mode"),
        ("  allowUnsigned: maybe\n", "allowUnsigned"),
    ] {
        policy(&machine, "ours.pub", spec);
        machine.dunlin(&["run", "demo/hello:1"]).exits(REFUSED).says(complaint);
    }
    policy(&machine, "none.pub", "");
    machine.dunlin(&["run", "demo/hello:1"]).exits(REFUSED).says("none.pub");
    machine.write("policy.yaml", "{");
    machine.dunlin(&["run", "demo/hello:1"]).exits(REFUSED).did_not_crash();
}

#[test]
fn allow_unsigned_admits_with_a_warning_unless_the_policy_forbids_it() {
    let Some(machine) = machine() else { return };
    let ran = machine.dunlin(&["run", "--allow-unsigned", "demo/hello:1"]).ok();
    ran.says("WARN");
    policy(&machine, "ours.pub", "  allowUnsigned: false\n");
    machine
        .dunlin(&["run", "--allow-unsigned", "demo/hello:1"])
        .exits(REFUSED)
        .says("does not allow unsigned");
    let wasm = cached("guests/command_hello.wasm").unwrap();
    machine
        .dunlin(&["run", "--allow-unsigned", wasm.to_str().unwrap()])
        .exits(REFUSED)
        .did_not_crash();
}

#[test]
fn audit_mode_admits_and_says_so() {
    let Some(machine) = machine() else { return };
    policy(&machine, "ours.pub", "  mode: audit\n");
    machine.dunlin(&["run", "demo/hello:1"]).ok().says("would refuse");
}

#[test]
fn a_bare_file_needs_allow_unsigned() {
    let Some(machine) = machine() else { return };
    let wasm = cached("guests/command_hello.wasm").unwrap();
    machine
        .dunlin(&["run", wasm.to_str().unwrap()])
        .exits(REFUSED)
        .says("--allow-unsigned");
}

#[test]
fn a_flipped_bit_in_any_object_is_refused() {
    let Some(machine) = machine() else { return };
    sign(&machine, "ours.key");
    let blobs: Vec<_> = machine
        .store_files()
        .into_iter()
        .filter(|(name, _)| name.starts_with("blobs/"))
        .collect();
    assert!(
        blobs.len() >= 5,
        "manifest, config, module, signature and its bundle: {blobs:?}"
    );
    let mut refused = 0;
    for (name, size) in &blobs {
        let path = machine.store().join(name);
        for at in [0, *size / 2, *size - 1] {
            let at = usize::try_from(at).unwrap();
            flip(&path, at);
            // A verdict that was reached before stands, whatever becomes of the signature: each run judges anew.
            let _ = fs_err::remove_dir_all(machine.path("cache/verdicts"));
            let ran = machine.dunlin(&["run", "demo/hello:1"]);
            ran.did_not_crash();
            // The empty config of the signature's manifest is not looked at; everything else decides.
            if ran.code == REFUSED || ran.code == CORRUPT {
                refused += 1;
            } else {
                assert!(*size == 2 && ran.code == 0, "{name} byte {at}: {ran:#?}");
            }
            flip(&path, at);
        }
    }
    assert!(refused >= 3 * (blobs.len() - 1), "{refused} of {}", 3 * blobs.len());
    drop(machine.dunlin(&["run", "demo/hello:1"]).ok());
}

#[test]
fn a_truncated_or_missing_blob_is_refused() {
    let Some(machine) = machine() else { return };
    sign(&machine, "ours.key");
    let seen = machine
        .dunlin(&["inspect", "--output", "json", "demo/hello:1"])
        .ok()
        .json();
    let layer = machine.blob(seen["document"]["layers"][0]["digest"].as_str().unwrap());
    let bytes = fs_err::read(&layer).unwrap();
    fs_err::remove_file(&layer).unwrap();
    machine
        .dunlin(&["run", "demo/hello:1"])
        .exits(3)
        .says("is not in the store");
    fs_err::write(&layer, &bytes[..bytes.len() / 2]).unwrap();
    machine.dunlin(&["run", "demo/hello:1"]).exits(CORRUPT).did_not_crash();
    fs_err::remove_file(&layer).unwrap();
    std::os::unix::fs::symlink("/etc/hostname", &layer).unwrap();
    machine
        .dunlin(&["run", "demo/hello:1"])
        .exits(CORRUPT)
        .says("regular file");
}

#[test]
fn a_signature_does_not_carry_over_to_another_artifact() {
    let Some(machine) = machine() else { return };
    sign(&machine, "ours.key");
    let wasm = cached("guests/command_hello.wasip1.wasm").unwrap();
    drop(
        machine
            .dunlin(&["pack", "--tag", "demo/other:1", wasm.to_str().unwrap()])
            .ok(),
    );
    let list = machine.dunlin(&["ls", "--output", "json"]).ok().json();
    let digest = |name: &str| {
        let entries = list.as_array().unwrap();
        entries.iter().find(|entry| entry["name"] == name).unwrap()["digest"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    // The tag that lists the signatures of one digest is made to list them for another.
    let index = machine.store().join("index.json");
    let text = fs_err::read_to_string(&index).unwrap();
    let (from, to) = (
        digest("demo/hello:1").replace(':', "-"),
        digest("demo/other:1").replace(':', "-"),
    );
    assert!(text.contains(&from), "{text}");
    fs_err::write(&index, text.replace(&from, &to)).unwrap();
    machine.dunlin(&["run", "demo/other:1"]).exits(REFUSED).did_not_crash();
}
