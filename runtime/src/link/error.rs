//! [`LinkError`]: why a guest cannot run on this host, known before it is started.

use std::fmt;

use crate::{
    BoxError,
    code::{WasmKind, World},
    grants::GrantError,
};

/// An import that the guest would not get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingImport {
    /// The import: an interface name of a component, `module::name` of a core module. Untrusted text.
    pub name: String,
    /// Why it is missing, for a reader: `no model was granted`.
    pub reason: String,
}

impl fmt::Display for MissingImport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "imports `{}` but {}", self.name.escape_debug(), self.reason)
    }
}

/// Why a guest was not linked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// Imports that the host does not provide, or that were not granted.
    #[error("wasm {digest} {}", list(imports))]
    Missing {
        /// Digest of the guest.
        digest: String,
        /// All of them.
        imports: Vec<MissingImport>,
    },
    /// An import exists with another type.
    #[error("wasm {digest} does not fit the host's interfaces")]
    Mismatch {
        /// Digest of the guest.
        digest: String,
        /// Wasmtime's account, which names the import.
        source: BoxError,
    },
    /// The guest is not of the kind that was asked for.
    #[error("wasm {digest} cannot be run as {wanted}: it is a {} of world `{world}`", kind_name(*kind))]
    WrongWorld {
        /// Digest of the guest.
        digest: String,
        /// What was asked for.
        wanted: World,
        /// What it is.
        world: World,
        /// Module or component.
        kind: WasmKind,
    },
    /// The guest starts with more memory than it may have.
    #[error("wasm {digest} starts with {needed} bytes of memory, over the limit of {limit}")]
    InitialMemory {
        /// Digest of the guest.
        digest: String,
        /// Bytes of its largest memory at the start.
        needed: u64,
        /// Bytes allowed.
        limit: u64,
    },
    /// A grant cannot be given.
    #[error("wasm {digest} was not given its grants")]
    Grant {
        /// Digest of the guest.
        digest: String,
        /// Which, and why.
        source: GrantError,
    },
}

impl LinkError {
    /// One line telling the user what to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Missing { imports, .. } if imports.iter().any(|import| import.reason.contains("model")) => {
                Some("grant the guest the models that it opens".to_owned())
            }
            Self::Missing { .. } | Self::Mismatch { .. } => {
                Some("build the guest for WASI 0.2 or 0.3, and `wasi:nn@0.2.0-rc-2024-10-28`".to_owned())
            }
            Self::WrongWorld {
                world: World::HttpProxy | World::HttpService03,
                ..
            } => Some("this guest serves HTTP: serve it".to_owned()),
            Self::WrongWorld {
                world: World::Command, ..
            } => Some("this guest is a command: run it".to_owned()),
            Self::WrongWorld { .. } => Some(
                "a command exports `wasi:cli/run` or `_start`, an HTTP app `wasi:http/incoming-handler` or `wasi:http/handler`".to_owned(),
            ),
            Self::InitialMemory { .. } => Some("raise the guest's memory limit".to_owned()),
            Self::Grant { source, .. } => source.hint(),
        }
    }
}

fn list(imports: &[MissingImport]) -> String {
    imports
        .iter()
        .map(MissingImport::to_string)
        .collect::<Vec<_>>()
        .join("; ")
}

fn kind_name(kind: WasmKind) -> &'static str {
    match kind {
        WasmKind::CoreModule => "core module",
        WasmKind::Component => "component",
    }
}
