//! Checks of docs/architecture.md: the map names every crate, dependencies point one way, engines and `unsafe` are fenced.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    process::Command,
};

use fs_err as fs;
use serde_json::Value;

/// Allowed edges between the members. Tools and tests (xtask, dunlin-tests, dunlin-benches) depend on no product crate.
const EDGES: [(&str, &[&str]); 12] = [
    ("dunlin-sigstore", &[]),
    ("dunlin-weights", &[]),
    ("dunlin-delta", &["dunlin-weights"]),
    ("dunlin-models", &["dunlin-sigstore", "dunlin-delta", "dunlin-weights"]),
    ("dunlin-host-gpu", &[]),
    ("dunlin-runtime", &["dunlin-host-gpu"]),
    ("dunlin-node", &["dunlin-runtime", "dunlin-models", "dunlin-host-gpu"]),
    ("dunlin-cli", &["dunlin-models", "dunlin-node"]),
    ("dunlin-shim", &["dunlin-runtime", "dunlin-models", "dunlin-host-gpu"]),
    ("dunlin-shim-compile", &["dunlin-runtime"]),
    // Measures against the servers of the tests.
    ("dunlin-benches", &["dunlin-tests"]),
    // Fuzzes the parsers of these; nothing depends on it.
    (
        "dunlin-fuzz",
        &[
            "dunlin-models",
            "dunlin-delta",
            "dunlin-weights",
            "dunlin-sigstore",
            "dunlin-test-pki",
        ],
    ),
];

/// Crates that one product crate alone may depend on, by prefix of their name.
const FENCES: [(&str, &str); 8] = [
    ("wasmtime", "dunlin-runtime"),
    ("tract", "dunlin-host-gpu"),
    ("ort", "dunlin-host-gpu"),
    ("reqwest", "dunlin-models"),
    ("sigstore", "dunlin-sigstore"),
    ("zstd-safe", "dunlin-delta"),
    ("ttrpc", "dunlin-shim"),
    ("containerd-shim-protos", "dunlin-shim"),
];

/// Where `unsafe` may stand, relative to the checkout.
const UNSAFE_PLACES: [&str; 3] = ["models/src/store/map.rs", "runtime/src/code_cache/", "shim/src/sys.rs"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("tests/ lies in the checkout")
        .to_owned()
}

/// A member of the workspace, as far as these checks look at it.
struct Package {
    name: String,
    manifest_path: PathBuf,
    /// Names of its dependencies, but for those of its tests.
    dependencies: BTreeSet<String>,
}

impl Package {
    fn folder(&self) -> &Path {
        self.manifest_path.parent().expect("a folder")
    }
}

/// `cargo metadata`, read as JSON: a crate for it would switch on features of serde_json that the product is built without.
fn packages() -> Vec<Package> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1", "--manifest-path"])
        .arg(root().join("Cargo.toml"))
        .output()
        .expect("cargo metadata");
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let package = |package: &Value| Package {
        name: text(&package["name"]),
        manifest_path: text(&package["manifest_path"]).into(),
        dependencies: package["dependencies"]
            .as_array()
            .expect("a list")
            .iter()
            .filter(|dependency| dependency["kind"] != "dev")
            .map(|dependency| text(&dependency["name"]))
            .collect(),
    };
    let packages: Vec<_> = metadata["packages"]
        .as_array()
        .expect("a list")
        .iter()
        .map(package)
        .collect();
    assert!(packages.len() > 8, "only {} members were found", packages.len());
    packages
}

#[test]
fn dependencies_point_one_way() {
    let edges: BTreeMap<&str, &[&str]> = EDGES.into_iter().collect();
    let packages = packages();
    let members: BTreeSet<String> = packages.iter().map(|package| package.name.clone()).collect();
    for package in &packages {
        let allowed = edges.get(package.name.as_str()).copied().unwrap_or_default();
        for dependency in package.dependencies.intersection(&members) {
            assert!(
                allowed.contains(&dependency.as_str()),
                "{} must not depend on {dependency}",
                package.name
            );
        }
    }
}

#[test]
fn engines_are_fenced() {
    for package in packages() {
        for dependency in &package.dependencies {
            for (prefix, owner) in FENCES {
                let fenced = *dependency == prefix || dependency.starts_with(&format!("{prefix}-"));
                assert!(
                    !fenced || package.name.as_str() == owner,
                    "{} must not depend on {dependency}: only {owner} may",
                    package.name
                );
            }
        }
    }
}

#[test]
fn the_map_names_every_member() {
    let map = fs::read_to_string(root().join("docs/architecture.md")).expect("the map");
    for package in packages() {
        let folder = package
            .folder()
            .strip_prefix(root())
            .expect("a folder of the checkout")
            .display();
        assert!(
            map.contains(&format!("\n{folder}/")),
            "docs/architecture.md does not name {folder}/ ({})",
            package.name
        );
    }
}

#[test]
fn every_member_has_the_workspace_lints() {
    for package in packages() {
        let manifest = fs::read_to_string(&package.manifest_path).expect("a manifest");
        assert!(
            manifest.contains("[lints]\nworkspace = true"),
            "{} does not use the workspace lints",
            package.name
        );
    }
}

#[test]
fn unsafe_is_fenced() {
    let root = root();
    let mut files = Vec::new();
    for package in packages() {
        rust_files(&package.folder().join("src"), &mut files);
    }
    assert!(files.len() > 50, "only {} source files were found", files.len());
    for file in files {
        let relative = file
            .strip_prefix(&root)
            .expect("a file of the checkout")
            .to_string_lossy()
            .into_owned();
        let text = fs::read_to_string(&file).expect("a source file");
        let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        let has_unsafe = code
            .into_iter()
            .any(|line| line.contains("unsafe {") || line.contains("unsafe fn") || line.contains("unsafe impl"));
        let allowed = UNSAFE_PLACES.iter().any(|place| relative.starts_with(place));
        assert!(
            !has_unsafe || allowed,
            "{relative} has unsafe code; docs/architecture.md fences it elsewhere"
        );
    }
}

#[test]
fn files_and_modules_stay_small() {
    let mut files = Vec::new();
    for package in packages() {
        rust_files(&package.folder().join("src"), &mut files);
    }
    for file in files {
        let text = fs::read_to_string(&file).expect("a source file");
        assert!(text.lines().count() <= 800, "{} has over 800 lines", file.display());
        assert!(
            text.starts_with("//!"),
            "{} does not begin with its purpose (//!)",
            file.display()
        );
    }
}

fn rust_files(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a source folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            rust_files(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}
