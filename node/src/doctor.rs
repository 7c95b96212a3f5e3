//! Checks of this machine, each in words: what was looked at, what was found, what to do.

use std::path::Path;

use dunlin_host_gpu::{EngineChoice, EngineConfig, Engines};
use fs_err as fs;
use rustix::fs::statvfs;
use serde::Serialize;

use crate::{EngineOptions, Node, environment::PolicyLocation, error_chain};

/// Below this, a pull of an ordinary model fails.
const LOW_DISK_BYTES: u64 = 1 << 30;

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// As it should be.
    Ok,
    /// Works, with something missing that is optional.
    Note,
    /// Something will not work.
    Problem,
}

/// One check.
#[derive(Debug, Clone, Serialize)]
pub struct Check {
    /// What was looked at.
    pub name: &'static str,
    /// How it ended.
    pub outcome: Outcome,
    /// What was found.
    pub found: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

impl Check {
    fn ok(name: &'static str, found: impl Into<String>) -> Self {
        Self {
            name,
            outcome: Outcome::Ok,
            found: found.into(),
            advice: None,
        }
    }

    fn note(name: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            name,
            outcome: Outcome::Note,
            found: found.into(),
            advice: Some(advice.into()),
        }
    }

    fn problem(name: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            name,
            outcome: Outcome::Problem,
            found: found.into(),
            advice: Some(advice.into()),
        }
    }
}

/// Runs all checks. `policy` is what loading the trust policy gave: its location was looked at by the caller.
#[must_use]
pub fn examine(node: &Node, policy: Result<(), String>) -> Vec<Check> {
    vec![
        processor(),
        store(node),
        disk(&node.environment().data_dir),
        trust(node, policy),
        sandbox(node),
        onnxruntime(node),
        cuda(),
        credentials(node),
    ]
}

fn processor() -> Check {
    let name = "processor";
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut found = format!("{cores} cores, {}", std::env::consts::ARCH);
    #[cfg(target_arch = "x86_64")]
    {
        let features: Vec<&str> = [
            ("avx2", std::arch::is_x86_feature_detected!("avx2")),
            ("fma", std::arch::is_x86_feature_detected!("fma")),
            ("avx512f", std::arch::is_x86_feature_detected!("avx512f")),
        ]
        .into_iter()
        .filter_map(|(feature, there)| there.then_some(feature))
        .collect();
        found = format!("{found} ({})", features.join(", "));
        if !features.contains(&"avx2") {
            return Check::note(name, found, "inference is several times slower without AVX2");
        }
    }
    Check::ok(name, found)
}

fn store(node: &Node) -> Check {
    let folder = node.environment().store_dir();
    match node.store().map_err(|error| error_chain(&error)).and_then(|store| {
        store
            .list()
            .map(|entries| entries.len())
            .map_err(|error| error_chain(&error))
    }) {
        Ok(entries) => Check::ok("store", format!("{} ({entries} tags)", folder.display())),
        Err(error) => Check::problem(
            "store",
            error,
            "make the folder writable, or set DUNLIN_DATA to one that is",
        ),
    }
}

fn disk(folder: &Path) -> Check {
    let existing = folder.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
    match statvfs(existing) {
        Ok(space) => {
            let free = space.f_bavail.saturating_mul(space.f_frsize);
            let found = format!("{:.1} GB free at {}", gigabytes(free), existing.display());
            if free < LOW_DISK_BYTES {
                Check::problem("disk", found, "free some space: models are large")
            } else {
                Check::ok("disk", found)
            }
        }
        Err(error) => Check::problem("disk", format!("{}: {error}", existing.display()), "check the folder"),
    }
}

#[allow(clippy::cast_precision_loss, reason = "one decimal is shown")]
fn gigabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e9
}

fn trust(node: &Node, policy: Result<(), String>) -> Check {
    let name = "trust policy";
    let place = match &node.environment().policy {
        PolicyLocation::Named(path) => Some(path),
        PolicyLocation::Default(places) => places.iter().find(|path| path.exists()),
    };
    match (policy, place) {
        (Err(error), _) => Check::problem(name, error, "until it is mended, nothing is admitted"),
        (Ok(()), Some(path)) => Check::ok(name, path.display().to_string()),
        (Ok(()), None) => Check::note(
            name,
            "none: nothing is admitted",
            "write one (docs/guides/trust-policy.md), or name a key with --key",
        ),
    }
}

fn sandbox(node: &Node) -> Check {
    let name = "sandbox";
    let probe = node
        .wasm_engine(1)
        .map_err(|error| error_chain(&error))
        .and_then(|engine| {
            let wasm = dunlin_runtime::Engine::wat_to_wasm(b"(module (func (export \"_start\")))")
                .map_err(|error| error_chain(&error))?;
            let digest = dunlin_models::Digest::of(&wasm);
            engine
                .compile(&wasm, &digest.hex())
                .map_err(|error| error_chain(&error))
        });
    match probe {
        Ok(_code) => Check::ok(name, "wasmtime compiles and caches code"),
        Err(error) => Check::problem(name, error, "the cache folder must be writable by this user alone"),
    }
}

fn onnxruntime(node: &Node) -> Check {
    let name = "onnxruntime";
    let options = EngineOptions {
        engine: EngineChoice::Ort,
        ..EngineOptions::default()
    };
    match node
        .engine_config(&options)
        .map(|config: EngineConfig| Engines::new(config))
    {
        Ok(Ok(_engines)) => Check::ok(name, "found: models that the built-in engine cannot load run with it"),
        Ok(Err(error)) => Check::note(
            name,
            error_chain(&error),
            "optional: only for models that the built-in engine cannot load; set DUNLIN_ONNXRUNTIME to a libonnxruntime.so",
        ),
        Err(error) => Check::problem(name, error_chain(&error), "see docs/guides/engines.md"),
    }
}

fn cuda() -> Check {
    if fs::metadata("/dev/nvidiactl").is_ok() {
        Check::note(
            "gpu",
            "an NVIDIA device is here; this build computes on the CPU",
            "the CUDA backend is pending: docs/SPECIFICATION.md",
        )
    } else {
        Check::ok("gpu", "none: computing on the CPU")
    }
}

fn credentials(node: &Node) -> Check {
    match &node.environment().docker_config {
        Some(path) if path.exists() => Check::ok("registry credentials", path.display().to_string()),
        _ => Check::ok("registry credentials", "none: registries are used anonymously"),
    }
}
