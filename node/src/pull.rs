//! Pulls and pushes with this node's credentials, policy and store.

use std::{collections::BTreeSet, path::PathBuf, sync::Arc};

use dunlin_models::{
    Reference,
    registry::{
        CredentialSource, PullError, PullOptions, PullReport, PushError, PushOptions, PushReport, Registry,
        RegistryConfig, TransportError,
    },
    store::StoreError,
};
use fs_err as fs;
use thiserror::Error;

use crate::Node;

/// A file of certificate authorities larger than this is none.
const MAX_CA_FILE: u64 = 4 << 20;

/// How registries are reached.
#[derive(Debug, Clone, Default)]
pub struct RegistryOptions {
    /// HTTP without TLS.
    pub plain_http: bool,
    /// Files with further certificate authorities.
    pub ca_files: Vec<PathBuf>,
}

/// Why a pull failed.
#[derive(Debug, Error)]
pub enum PullFault {
    /// There is no client.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The pull itself failed.
    #[error(transparent)]
    Pull(#[from] PullError),
}

/// Why a push failed.
#[derive(Debug, Error)]
pub enum PushFault {
    /// There is no client.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The push itself failed.
    #[error(transparent)]
    Push(#[from] PushError),
}

/// Why there is no registry client.
#[derive(Debug, Error)]
pub enum ClientError {
    /// A file of certificate authorities cannot be read.
    #[error("cannot read the certificate authorities")]
    CaFile(#[source] std::io::Error),
    /// A file of certificate authorities is too large to be one.
    #[error("{} is too large for a file of certificate authorities", path.display())]
    CaFileTooLarge {
        /// The file.
        path: PathBuf,
    },
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The settings do not make a client.
    #[error(transparent)]
    Registry(#[from] TransportError),
}

impl ClientError {
    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::CaFile(_) | Self::CaFileTooLarge { .. } => Some("--ca-file takes a PEM file".to_owned()),
            Self::Store(error) => error.hint(),
            Self::Registry(error) => error.hint(),
        }
    }
}

impl PullFault {
    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Client(error) => error.hint(),
            Self::Pull(error) => error.hint(),
        }
    }
}

impl PushFault {
    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Client(error) => error.hint(),
            Self::Push(error) => error.hint(),
        }
    }
}

impl Node {
    /// Pulls `reference` into the store: verdict first, layers after it.
    ///
    /// # Errors
    /// See [`PullFault`]; the store's tags are as before.
    pub async fn pull(&self, reference: &Reference, allow_unsigned: bool) -> Result<PullReport, PullFault> {
        let store = self.store().map_err(ClientError::from)?;
        let registry = self.registry(reference)?;
        let options = PullOptions {
            allow_unsigned,
            progress: Arc::clone(&self.progress),
            ..PullOptions::default()
        };
        Ok(registry.pull(&store, reference, self.verifier(), options).await?)
    }

    /// Pushes `local` from the store to `remote`, with its signatures.
    ///
    /// # Errors
    /// See [`PushFault`]; what was uploaded before stays in the registry, the tag is set last.
    pub async fn push(&self, local: &Reference, remote: &Reference) -> Result<PushReport, PushFault> {
        let store = self.store().map_err(ClientError::from)?;
        let registry = self.registry(remote)?;
        let options = PushOptions {
            progress: Arc::clone(&self.progress),
            ..PushOptions::default()
        };
        Ok(registry.push(&store, local, remote, options).await?)
    }

    /// A client for the registry of `reference`; plain HTTP, where it was asked for, is for that registry alone.
    fn registry(&self, reference: &Reference) -> Result<Registry, ClientError> {
        let mut extra_roots = String::new();
        for path in &self.registry.ca_files {
            if fs::metadata(path).map_err(ClientError::CaFile)?.len() > MAX_CA_FILE {
                return Err(ClientError::CaFileTooLarge { path: path.clone() });
            }
            extra_roots.push_str(&fs::read_to_string(path).map_err(ClientError::CaFile)?);
            extra_roots.push('\n');
        }
        let credentials = match &self.environment().docker_config {
            Some(path) if path.exists() => CredentialSource::DockerConfig(path.clone()),
            _ => CredentialSource::Anonymous,
        };
        Ok(Registry::new(RegistryConfig {
            plain_http: reference
                .registry()
                .filter(|_| self.registry.plain_http)
                .map(str::to_owned)
                .into_iter()
                .collect::<BTreeSet<_>>(),
            extra_roots_pem: (!extra_roots.is_empty()).then_some(extra_roots),
            credentials,
            ..RegistryConfig::default()
        })?)
    }
}
