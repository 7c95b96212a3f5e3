//! `dunlin.toml`: recipes that `pack` and `build` read, and the settings file of the node.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use dunlin_tests::Machine;

const MODULE: &[u8] = b"\0asm\x01\0\0\0\
    \x01\x04\x01\x60\0\0\
    \x03\x02\x01\0\
    \x07\x0a\x01\x06_start\0\0\
    \x0a\x04\x01\x02\0\x0b";
/// The smallest file that is ONNX.
const MODEL: &[u8] = &[0x08, 0x08, 0x3a, 0x03, 0x12, 0x01, b'g', 0x42, 0x02, 0x10, 0x11];

const RECIPE: &str = r#"
tag = "demo/app:1"
[annotations]
"org.opencontainers.image.source" = "https://git.example/app"
[module]
file = "app.wasm"
build = "printf built >&2; cp source.bin app.wasm; echo to-standard-output"
form = "bundle"
memory = "64M"
[models.default]
files = ["model.onnx"]
name = "tiny"
licenses = ["Apache-2.0"]
"#;

#[test]
fn a_project_is_built_and_packed_into_a_bundle() {
    let machine = Machine::new();
    machine.write("dunlin.toml", RECIPE);
    machine.write("source.bin", MODULE);
    machine.write("model.onnx", MODEL);
    let built = machine.dunlin(&["build", "--output", "json"]).ok();
    assert!(
        built.stderr.contains("to-standard-output"),
        "the command's output belongs on stderr: {}",
        built.stderr
    );
    let built = built.json();
    assert_eq!(built["kind"], "bundle");
    assert_eq!(built["reference"], "demo/app:1");
    let seen = machine
        .dunlin(&["inspect", "--allow-unsigned", "--output", "json", "demo/app:1"])
        .ok()
        .json();
    assert_eq!(seen["models"][0]["name"], "default", "{seen}");
    let packed = machine.dunlin(&["pack", "--output", "json", "dunlin.toml"]).ok().json();
    assert_eq!(
        packed["digest"], built["digest"],
        "packing what was built gives the same bytes"
    );
    let renamed = machine
        .dunlin(&["pack", "--tag", "demo/other:2", "--output", "json", "."])
        .ok()
        .json();
    assert_eq!(renamed["reference"], "demo/other:2");
    assert_eq!(renamed["digest"], built["digest"]);
}

#[test]
fn a_recipe_says_the_same_as_options() {
    let machine = Machine::new();
    machine.write("app.wasm", MODULE);
    machine.write("dunlin.toml", "[module]\nfile = \"app.wasm\"\nmemory = \"64M\"");
    let digest = |arguments: &[&str]| {
        let mut all = vec!["pack", "--tag", "demo/app:1", "--output", "json"];
        all.extend(arguments);
        machine.dunlin(&all).ok().json()["digest"].as_str().unwrap().to_owned()
    };
    assert_eq!(digest(&["dunlin.toml"]), digest(&["--memory", "64M", "app.wasm"]));
}

#[test]
fn faulty_recipes_are_refused_with_every_fault() {
    let machine = Machine::new();
    machine.write(
        "dunlin.toml",
        "tag = \"Not A Tag\"\n[module]\nfile = \"app.wasm\"\nform = \"zip\"",
    );
    let refused = machine.dunlin(&["pack", "."]).exits(2);
    assert!(refused.stderr.contains("tag:"), "{}", refused.stderr);
    assert!(refused.stderr.contains("module.form:"), "{}", refused.stderr);
    machine.write("dunlin.toml", "[module]\nfile = \"app.wasm\"\nmemroy = \"64M\"");
    let refused = machine.dunlin(&["pack", "."]).exits(2);
    assert!(
        refused.stderr.contains("line 3") && refused.stderr.contains("memroy"),
        "{}",
        refused.stderr
    );
    machine.write("dunlin.toml", "[module]\nfile = \"app.wasm\"");
    drop(machine.dunlin(&["pack", "."]).exits(2));
    drop(machine.dunlin(&["pack", "--tag", "a/b:1", "."]).exits(3));
    drop(
        machine
            .dunlin(&["pack", "--tag", "a/b:1", "--bundle", "--model", "a=b:1", "."])
            .exits(2),
    );
}

#[test]
fn a_failing_build_packs_nothing() {
    let machine = Machine::new();
    machine.write(
        "dunlin.toml",
        "tag = \"demo/app:1\"\n[module]\nfile = \"app.wasm\"\nbuild = \"exit 7\"",
    );
    let failed = machine.dunlin(&["build"]).exits(1);
    assert!(failed.stderr.contains("exit 7"), "{}", failed.stderr);
    let listed = machine.dunlin(&["ls", "--output", "json"]).ok().json();
    assert!(listed.as_array().unwrap().is_empty(), "{listed}");
}

#[test]
fn an_image_has_its_models_inside() {
    let machine = Machine::new();
    machine.write("app.wasm", MODULE);
    machine.write("model.onnx", MODEL);
    machine.write(
        "dunlin.toml",
        "tag = \"demo/image:1\"\n[module]\nfile = \"app.wasm\"\nform = \"image\"\n[models.default]\nfiles = [\"model.onnx\"]",
    );
    let packed = machine.dunlin(&["pack", "--output", "json", "."]).ok().json();
    assert_eq!(packed["kind"], "image");
    let seen = machine
        .dunlin(&["inspect", "--allow-unsigned", "--output", "json", "demo/image:1"])
        .ok()
        .json();
    assert_eq!(seen["module"]["world"], "command", "{seen}");
    assert_eq!(seen["models"][0]["name"], "default", "{seen}");
    drop(
        machine
            .dunlin(&["pack", "--image", "--tag", "demo/bare:1", "app.wasm"])
            .ok(),
    );
    drop(machine.dunlin(&["run", "--allow-unsigned", "demo/bare:1"]).ok());
}
