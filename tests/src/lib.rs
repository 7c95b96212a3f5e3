//! What the black-box tests share: a `dunlin` with a state of its own, the cache of guests and fixtures, servers that are
//! stopped, and how a missing prerequisite is reported.
//!
//! Nothing here links product code: the tests see what a user sees.
#![allow(
    clippy::print_stderr,
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "support code of tests"
)]

mod containerd;
mod daemon;
mod issuer;
mod machine;
mod model_files;
mod npy;
mod output;
mod peer;
mod proxy;
mod publisher;
mod registry;
mod server;
mod sigstore;
mod tools;
mod web;
mod weights;

pub use containerd::{Containerd, ContainerdVersion};
pub use daemon::{Daemon, free_port};
pub use issuer::{OidcIssuer, TokenSigner};
pub use machine::Machine;
pub use model_files::{Gguf, TFLITE, onnx_with_external_data, safetensors};
pub use npy::{Npy, npy_array, npy_floats};
pub use output::Output;
pub use peer::Peer;
pub use proxy::CountingProxy;
pub use publisher::Publisher;
pub use registry::{
    Ask, Guard, HostileRegistry, Login, PASSWORD, RegistryKind, RegistryServer, Reply, Shelf, USER, digest_of,
    docker_config,
};
pub use server::Server;
pub use sigstore::Sigstore;
pub use tools::tool;
pub use web::{Answer, Asked, Web};
pub use weights::{Edit, Weights};

use std::path::PathBuf;

/// The cache that `cargo xtask assets|guests|fixtures` fills.
///
/// # Panics
/// There is no variable that says where it is.
#[must_use]
pub fn cache() -> PathBuf {
    let under = |variable: &str| {
        std::env::var_os(variable)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    under("DUNLIN_CACHE")
        .or_else(|| under("XDG_CACHE_HOME").map(|cache| cache.join("dunlin")))
        .or_else(|| under("HOME").map(|home| home.join(".cache/dunlin")))
        .expect("DUNLIN_CACHE, XDG_CACHE_HOME or HOME")
}

/// A file of the cache, or `None` after saying how to make it.
///
/// # Panics
/// It is missing and `CI=true`: there everything must be there.
#[must_use]
pub fn cached(path: &str) -> Option<PathBuf> {
    let path = cache().join(path);
    present(
        path.exists(),
        &format!(
            "{} is missing: run `cargo xtask assets --all`, `guests`, `fixtures`",
            path.display()
        ),
    )
    .then_some(path)
}

/// Whether a prerequisite is there; says that the test is ignored where it is not.
///
/// # Panics
/// It is missing and `CI=true`.
#[must_use]
pub fn present(there: bool, otherwise: &str) -> bool {
    if !there {
        let ci = std::env::var("CI").is_ok_and(|value| value == "true");
        assert!(!ci, "a prerequisite is missing: {otherwise}");
        eprintln!("ignored: {otherwise}");
    }
    there
}

/// Whether a program is on PATH; see [`present`].
///
/// # Panics
/// As [`present`].
#[must_use]
pub fn program(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let there = std::env::split_paths(&path).any(|folder| folder.join(name).is_file());
    present(
        there,
        &format!("{name} is not installed (scripts/setup.sh test installs it)"),
    )
}
