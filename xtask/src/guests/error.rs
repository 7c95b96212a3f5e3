//! [`GuestError`]: why a guest was not built, and what to do about it.

use std::{path::PathBuf, process::ExitStatus};

use super::{component::ComponentError, manifest::Target};

/// A guest could not be built.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GuestError {
    /// No workspace has such a guest.
    #[error("there is no guest `{name}`")]
    Unknown {
        /// As it was written.
        name: String,
        /// The guests there are.
        known: Vec<String>,
    },
    /// Cargo could not be started.
    #[error("cannot run {program}")]
    Start {
        /// The program.
        program: &'static str,
        /// Why it does not run.
        source: std::io::Error,
    },
    /// Cargo could not read a workspace.
    #[error("cargo cannot read the workspace {}: {detail}", workspace.display())]
    Metadata {
        /// The workspace's folder.
        workspace: PathBuf,
        /// Its last line.
        detail: String,
    },
    /// Cargo's description of a workspace has another form than this program knows.
    #[error("cargo describes the workspace {} in an unknown form", workspace.display())]
    MetadataForm {
        /// The workspace's folder.
        workspace: PathBuf,
        /// What does not fit.
        source: serde_json::Error,
    },
    /// A guest names a target that it cannot be built for.
    #[error("guest `{guest}` asks for target `{target}`, which is not one of wasm32-wasip1 and wasm32-wasip2")]
    Target {
        /// The guest.
        guest: String,
        /// The target.
        target: String,
    },
    /// No installed toolchain has the target's standard library.
    #[error("no Rust toolchain here can build for {target}: {tried}")]
    NoToolchain {
        /// The target.
        target: Target,
        /// What was tried.
        tried: String,
    },
    /// The compiler refused the guest; it has said why on stderr.
    #[error("guest `{guest}` does not compile for {target} ({status})")]
    Compile {
        /// The guest.
        guest: String,
        /// The target.
        target: Target,
        /// How cargo ended.
        status: ExitStatus,
    },
    /// The compiled module is none that a component can be made of.
    #[error("guest `{guest}` does not become a component")]
    Component {
        /// The guest.
        guest: String,
        /// What is wrong with it.
        source: ComponentError,
    },
    /// A check failed; it has said why.
    #[error("`cargo {arguments}` failed in {} ({status})", workspace.display())]
    Check {
        /// The workspace's folder.
        workspace: PathBuf,
        /// What cargo was asked.
        arguments: String,
        /// How it ended.
        status: ExitStatus,
    },
    /// The result could not be copied into the cache.
    #[error("cannot keep guest `{guest}`")]
    Io {
        /// The guest.
        guest: String,
        /// The operation and path that failed.
        source: std::io::Error,
    },
}

impl GuestError {
    pub(crate) fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Unknown { known, .. } => format!("known are {}", known.join(", ")),
            Self::NoToolchain { target, .. } => format!(
                "rustup target add {target} (without rustup, on Debian: apt install rustc-web cargo-web \
                 rust-web-src wasi-libc lld-19)"
            ),
            Self::Target { .. } => "correct `targets` under [package.metadata.dunlin] in its Cargo.toml".to_owned(),
            Self::Io { .. } => "is the disk full, or the cache not yours?".to_owned(),
            Self::Start { .. } | Self::Metadata { .. } | Self::MetadataForm { .. } => {
                "is this a whole checkout, and cargo the one of rust-version in Cargo.toml?".to_owned()
            }
            Self::Component {
                source: ComponentError::Tool(error),
                ..
            } => return error.hint(),
            Self::Compile { .. } | Self::Component { .. } | Self::Check { .. } => return None,
        };
        Some(hint)
    }
}
