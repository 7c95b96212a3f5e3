//! Composition: one process's view of its machine. [`Node`] joins the environment, the trust policy, the store, the registries
//! and the engines; `run`, `serve` and `infer` are built from it. Knows nothing of command-line syntax or terminals.

pub mod config;
pub mod environment;
pub mod target;
pub mod trust;

pub mod build;
pub mod client;
pub mod local;
pub mod open;
pub mod pack;
pub mod pull;
pub mod recipe;

pub mod model;
pub mod resident;
mod rights;
pub mod sandbox;

pub mod infer;
pub mod run;
pub mod serve;
pub mod share;

pub mod doctor;
pub mod inspect;
pub mod listing;

mod code;
mod engines;

use std::sync::Arc;

use dunlin_models::{Store, Verifier, registry::Progress, store::StoreError};

pub use client::{Peer, PeerError, RegistryOptions};
pub use code::CodeError;
pub use config::{ConfigLocation, NodeConfig};
pub use dunlin_host_gpu::{CancelToken, EngineChoice, EngineError, Engines, NamedTensor, Signature};
pub use dunlin_runtime::{OutboundHost, OutboundHostError};
pub use engines::{EngineOptions, EngineOptionsError};
pub use environment::Environment;
pub use model::Model;
pub use open::{Module, OpenOptions, Opened};
pub use resident::{GrantedModels, ResidentModels};
pub use rights::AskedHostError;
pub use sandbox::{Folder, Grant, Sandbox, SandboxLimits};
pub use target::Target;
pub use trust::{SignerOption, TrustOptions};

/// This machine, as one process uses it.
pub struct Node {
    environment: Environment,
    config: NodeConfig,
    verifier: Verifier,
    registry: RegistryOptions,
    progress: Arc<dyn Progress>,
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Node")
            .field("environment", &self.environment)
            .field("verifier", &self.verifier)
            .finish()
    }
}

impl Node {
    /// Joins what the caller has read. Opens nothing yet.
    #[must_use]
    pub fn new(
        environment: Environment,
        config: NodeConfig,
        verifier: Verifier,
        registry: RegistryOptions,
        progress: Arc<dyn Progress>,
    ) -> Self {
        Self {
            environment,
            config,
            verifier,
            registry,
            progress,
        }
    }

    /// Paths and settings.
    #[must_use]
    pub fn environment(&self) -> &Environment {
        &self.environment
    }

    /// The settings that were read from a file.
    #[must_use]
    pub fn config(&self) -> &NodeConfig {
        &self.config
    }

    /// How registries are reached, for a command that has options of its own.
    pub fn registry_options(&mut self) -> &mut RegistryOptions {
        &mut self.registry
    }

    /// Who is trusted.
    #[must_use]
    pub fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    /// The content store, made when it is not there.
    ///
    /// # Errors
    /// The folder cannot be made or is no store.
    pub fn store(&self) -> Result<Store, StoreError> {
        Store::open(&self.environment.store_dir(), true)
    }
}

/// An error and its causes on one line, outermost first.
#[must_use]
pub fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
