//! Identities instead of keys, encrypted keys, attestations, explanations and containerd's verifier, as typed, against a whole
//! Sigstore on loopback.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::process::{Command, Stdio};

use dunlin_tests::{Machine, Output, RegistryServer, Sigstore};

/// The smallest command: a wasip1 module that does nothing.
const MODULE: &[u8] = b"\0asm\x01\0\0\0\
    \x01\x04\x01\x60\0\0\
    \x03\x02\x01\0\
    \x07\x0a\x01\x06_start\0\0\
    \x0a\x04\x01\x02\0\x0b";
const ALICE: &str = "alice@example.com";
const PROVENANCE: &str = r#"{"buildDefinition":{"buildType":"https://example.com/build","externalParameters":{"branch":"main"}},
    "runDetails":{"builder":{"id":"https://example.com/builder"}}}"#;

fn packed() -> Machine {
    let machine = Machine::new();
    machine.write("app.wasm", MODULE);
    drop(machine.dunlin(&["pack", "--tag", "demo/app:1", "app.wasm"]).ok());
    machine
}

/// Options that trust `identity` of this instance, which has no certificate transparency log.
fn trust(sigstore: &Sigstore, identity: &str) -> Vec<String> {
    let root = sigstore.trusted_root().to_str().unwrap().to_owned();
    [
        "--certificate-identity",
        identity,
        "--certificate-oidc-issuer",
        &sigstore.issuer(),
        "--trusted-root",
        &root,
        "--insecure-ignore-sct",
    ]
    .map(str::to_owned)
    .to_vec()
}

fn run(machine: &Machine, arguments: &[&str], more: &[String]) -> Output {
    let all: Vec<&str> = arguments
        .iter()
        .copied()
        .chain(more.iter().map(String::as_str))
        .collect();
    machine.dunlin(&all)
}

/// Options that sign as Alice.
fn as_alice(machine: &Machine, sigstore: &Sigstore) -> Vec<String> {
    machine.write("token", sigstore.token(ALICE));
    let config = sigstore.signing_config().to_str().unwrap().to_owned();
    let root = sigstore.trusted_root().to_str().unwrap().to_owned();
    [
        "--identity-token",
        "token",
        "--signing-config",
        &config,
        "--trusted-root",
        &root,
    ]
    .map(str::to_owned)
    .to_vec()
}

#[test]
fn an_identity_signs_and_only_that_identity_is_trusted() {
    let (Some(sigstore), Some(registry)) = (Sigstore::start(), RegistryServer::start()) else {
        return;
    };
    let machine = packed();
    drop(run(&machine, &["sign", "demo/app:1"], &as_alice(&machine, &sigstore)).ok());
    let verified = run(
        &machine,
        &["verify", "--output", "json", "demo/app:1"],
        &trust(&sigstore, ALICE),
    )
    .ok();
    let verified = verified.json();
    assert!(verified["keys"][0].as_str().unwrap().contains(ALICE), "{verified}");
    drop(run(&machine, &["verify", "demo/app:1"], &trust(&sigstore, "*@example.com")).ok());
    drop(
        run(
            &machine,
            &["verify", "demo/app:1"],
            &trust(&sigstore, "mallory@example.com"),
        )
        .exits(4),
    );
    // A key's signature is none of an identity.
    machine.key("me");
    drop(machine.dunlin(&["verify", "--key", "me.pub", "demo/app:1"]).exits(4));

    let remote = registry.reference("demo/app:1");
    drop(machine.dunlin(&["push", "--plain-http", "demo/app:1", &remote]).ok());
    let other = Machine::new();
    drop(run(&other, &["verify", "--plain-http", &remote], &trust(&sigstore, ALICE)).ok());
    drop(
        run(
            &other,
            &["pull", "--plain-http", &remote],
            &trust(&sigstore, "mallory@example.com"),
        )
        .exits(4),
    );
    assert!(other.store_files().iter().all(|(name, _)| !name.starts_with("blobs/")));
    drop(run(&other, &["pull", "--plain-http", &remote], &trust(&sigstore, ALICE)).ok());
    // Offline from here on.
    drop(registry);
    drop(run(&other, &["verify", &remote], &trust(&sigstore, ALICE)).ok());
}

#[test]
fn an_attestation_of_a_type_is_asked_for() {
    let machine = packed();
    machine.key("me");
    machine.write("provenance.json", PROVENANCE);
    let attest = [
        "attest",
        "--key",
        "me.key",
        "--type",
        "slsaprovenance1",
        "--predicate",
        "provenance.json",
        "demo/app:1",
    ];
    drop(machine.dunlin(&attest).ok());
    let verify = |kind: &str| machine.dunlin(&["verify", "--key", "me.pub", "--type", kind, "demo/app:1"]);
    drop(verify("slsaprovenance1").ok());
    drop(verify("cyclonedx").exits(4));
    // An attestation is no signature.
    drop(machine.dunlin(&["verify", "--key", "me.pub", "demo/app:1"]).exits(4));
    drop(
        machine
            .dunlin(&["verify", "--type", "cyclonedx", "demo/app:1"])
            .exits(2),
    );
    machine.write("broken.json", "{");
    drop(
        machine
            .dunlin(&[
                "attest",
                "--key",
                "me.key",
                "--type",
                "cyclonedx",
                "--predicate",
                "broken.json",
                "demo/app:1",
            ])
            .exits(2),
    );
}

#[test]
fn an_explanation_names_rules_and_signatures() {
    let machine = packed();
    machine.key("me");
    machine.key("other");
    drop(machine.dunlin(&["sign", "--key", "other.key", "demo/app:1"]).ok());
    let policy = "apiVersion: dunlin.dev/v1alpha1\nkind: TrustPolicy\nmetadata: {name: t}\nspec:\n  rules:\n    - name: elsewhere\n      match: [\"prod/**\"]\n      require: {key: {file: me.pub}}\n    - name: here\n      match: [\"demo/**\"]\n      require: {key: {file: me.pub}}\n";
    machine.write("policy.yaml", policy);
    let explained = machine
        .dunlin(&["verify", "--explain", "--output", "json", "demo/app:1"])
        .exits(4);
    let explained = explained.json();
    assert_eq!(explained["admitted"], false);
    assert_eq!(explained["rules"][0]["matched"], false, "{explained}");
    assert_eq!(explained["rules"][1]["matched"], true, "{explained}");
    assert_eq!(explained["candidates"][0]["counted"], false, "{explained}");
    drop(machine.dunlin(&["sign", "--key", "me.key", "demo/app:1"]).ok());
    let text = machine.dunlin(&["verify", "--explain", "demo/app:1"]).ok();
    assert!(text.stdout.contains("is admitted"), "{}", text.stdout);
}

#[test]
fn encrypted_keys_need_their_password() {
    let machine = packed();
    machine.write("password", "a passphrase\n");
    let generated = machine.dunlin(&[
        "generate-key-pair",
        "--encrypt",
        "--password-file",
        "password",
        "--output-prefix",
        "safe",
    ]);
    drop(generated.ok());
    assert!(
        fs_err::read_to_string(machine.path("safe.key"))
            .unwrap()
            .contains("ENCRYPTED")
    );
    drop(machine.dunlin(&["sign", "--key", "safe.key", "demo/app:1"]).exits(2));
    machine.write("wrong", "another");
    drop(
        machine
            .dunlin(&["sign", "--key", "safe.key", "--password-file", "wrong", "demo/app:1"])
            .exits(2),
    );
    drop(
        machine
            .dunlin(&["sign", "--key", "safe.key", "--password-file", "password", "demo/app:1"])
            .ok(),
    );
    drop(machine.dunlin(&["verify", "--key", "safe.pub", "demo/app:1"]).ok());
}

#[test]
fn an_older_artifact_does_not_come_back() {
    let machine = packed();
    machine.key("me");
    let sign = |tag: &str, at: &str| {
        let annotation = format!("dev.dunlin.signed-at={at}");
        drop(
            machine
                .dunlin(&["sign", "--key", "me.key", "--annotation", &annotation, tag])
                .ok(),
        );
    };
    sign("demo/app:1", "2026-01-02T00:00:00Z");
    let verify = ["verify", "--key", "me.pub", "demo/app:1"];
    drop(machine.dunlin(&verify).ok());
    // The tag is moved to something that was signed before.
    let mut other = MODULE.to_vec();
    other.extend_from_slice(b"\0\x03\x02ab");
    machine.write("app.wasm", other);
    drop(machine.dunlin(&["pack", "--tag", "demo/app:1", "app.wasm"]).ok());
    sign("demo/app:1", "2026-01-01T00:00:00Z");
    machine.dunlin(&verify).exits(4).says("what was accepted before");
    drop(
        machine
            .dunlin(&["verify", "--allow-downgrade", "--key", "me.pub", "demo/app:1"])
            .ok(),
    );
}

#[test]
fn containerds_verifier_says_yes_and_no() {
    let Some(registry) = RegistryServer::start() else {
        return;
    };
    let machine = packed();
    machine.key("me");
    drop(machine.dunlin(&["sign", "--key", "me.key", "demo/app:1"]).ok());
    let remote = registry.reference("demo/app:1");
    drop(machine.dunlin(&["push", "--plain-http", "demo/app:1", &remote]).ok());
    let digest = machine.dunlin(&["ls", "--output", "json"]).ok().json()[0]["digest"]
        .as_str()
        .unwrap()
        .to_owned();
    let policy = |key: &str| {
        let text = format!(
            "apiVersion: dunlin.dev/v1alpha1\nkind: TrustPolicy\nmetadata: {{name: t}}\nspec:\n  rules:\n    - name: all\n      match: [\"**\"]\n      require: {{key: {{file: {key}}}}}\n"
        );
        machine.write("policy.yaml", text);
    };
    machine.write(
        "node.toml",
        format!("[[registry]]\nhost = \"{}\"\nplain_http = true\n", registry.host()),
    );
    let verifier = machine.path("dunlin-image-verifier");
    std::os::unix::fs::symlink(machine.command(&[]).get_program(), &verifier).unwrap();
    let ask = |digest: &str| {
        let like = machine.command(&[]);
        let mut command = Command::new(&verifier);
        command.env_clear();
        for (name, value) in like.get_envs() {
            if let Some(value) = value {
                command.env(name, value);
            }
        }
        command
            .env("DUNLIN_CONFIG", machine.path("node.toml"))
            .args(["-name", &remote, "-digest", digest, "-stdin-media-type"])
            .arg("application/vnd.oci.descriptor.v1+json")
            .stdin(Stdio::null());
        Output::of(&mut command)
    };
    policy("me.pub");
    drop(ask(&digest).ok());
    let unknown = format!("sha256:{}", "0".repeat(64));
    drop(ask(&unknown).exits(1));
    machine.key("other");
    policy("other.pub");
    let refused = ask(&digest).exits(1);
    assert!(
        !refused.stdout.is_empty(),
        "containerd shows what is on standard output"
    );
}
