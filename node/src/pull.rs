//! Pulls and pushes with this node's credentials, policy and store.

use std::sync::Arc;

use dunlin_models::{
    Descriptor, Digest, Reference, Verified,
    registry::{
        CopyError, CopyOptions, CopyReport, Links, PullError, PullOptions, PullReport, PushError, PushOptions,
        PushReport, SigningHttp,
    },
    store::StoreError,
    update::{self, Prepared, UpdateError},
    verify::Explanation,
};
use thiserror::Error;

use crate::{Node, client::ClientError};

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
    /// The older version that was named is not in the store.
    #[error("cannot read {base}, of which deltas were to be made, from the store")]
    Base {
        /// What was named.
        base: Reference,
        /// Why not.
        #[source]
        source: StoreError,
    },
    /// Deltas cannot be made.
    #[error(transparent)]
    Update(#[from] UpdateError),
    /// The push itself failed.
    #[error(transparent)]
    Push(#[from] PushError),
}

/// Why a copy failed.
#[derive(Debug, Error)]
pub enum CopyFault {
    /// There is no client.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The copy itself failed.
    #[error(transparent)]
    Copy(#[from] CopyError),
}

impl CopyFault {
    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Client(error) => error.hint(),
            Self::Copy(error) => error.hint(),
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
            Self::Base { .. } => Some("--delta-from names the version that receivers have; pull it first".to_owned()),
            Self::Update(error) => error.hint(),
            Self::Push(error) => error.hint(),
        }
    }
}

impl Node {
    /// Pulls `reference` into the store, and the models that it links: verdict first, layers after it.
    ///
    /// # Errors
    /// See [`PullFault`]; the store's tags are as before.
    pub async fn pull(
        &self,
        reference: &Reference,
        allow_unsigned: bool,
        links: Links,
    ) -> Result<PullReport, PullFault> {
        let store = self.store().map_err(ClientError::from)?;
        let registry = self.registry(&[reference])?;
        let options = PullOptions {
            allow_unsigned,
            links,
            updates: !self.registry.no_delta && self.config.deltas.unwrap_or(true),
            progress: Arc::clone(&self.progress),
            ..PullOptions::default()
        };
        Ok(registry.pull(&store, reference, self.verifier(), options).await?)
    }

    /// Judges what a registry has under `reference`, by its manifest and signatures alone; with `digest`, that manifest.
    ///
    /// # Errors
    /// See [`PullFault`].
    pub async fn verify_remote(
        &self,
        reference: &Reference,
        digest: Option<Digest>,
    ) -> Result<Verified<Descriptor>, PullFault> {
        let registry = self.registry(&[reference])?;
        Ok(registry.verify(reference, digest, self.verifier()).await?)
    }

    /// Why a registry's artifact is judged as it is.
    ///
    /// # Errors
    /// Its manifest or signatures cannot be had.
    pub async fn explain_remote(&self, reference: &Reference) -> Result<Explanation, PullFault> {
        let registry = self.registry(&[reference])?;
        Ok(registry.explain(reference, None, self.verifier()).await?)
    }

    /// A client for the services that sign without a key.
    ///
    /// # Errors
    /// The settings do not make a client.
    pub fn signing_http(&self) -> Result<SigningHttp, ClientError> {
        Ok(self.registry(&[])?.signing_http()?)
    }

    /// Makes deltas and lists of chunks by which whoever has `base` gets `local`, where they save bytes. They stay in the store
    /// as referrers of `local`, and go along with every push of it.
    ///
    /// # Cancel safety
    /// Dropping the future does not end the work; what it leaves in the store is right, and reused by the next attempt.
    ///
    /// # Errors
    /// See [`PushFault`].
    pub async fn prepare_update(&self, local: &Reference, base: &Reference) -> Result<Vec<Prepared>, PushFault> {
        let store = self.store().map_err(ClientError::from)?;
        let newer = store.resolve(local).map_err(|source| PushError::Store {
            reference: local.clone(),
            source,
        })?;
        let older = store.resolve(base).map_err(|source| PushFault::Base {
            base: base.clone(),
            source,
        })?;
        let progress = Arc::clone(&self.progress);
        let digest = newer.digest;
        let prepared = tokio::task::spawn_blocking(move || update::prepare(&store, &newer, &older, &progress));
        let died = |error| UpdateError::Store {
            digest,
            source: StoreError::Io {
                operation: "make deltas",
                source: std::io::Error::other(error),
            },
        };
        Ok(prepared.await.map_err(died)??)
    }

    /// Pushes `local` from the store to `remote`, with its signatures, and the deltas that were prepared for it.
    ///
    /// # Errors
    /// See [`PushFault`]; what was uploaded before stays in the registry, the tag is set last.
    pub async fn push(&self, local: &Reference, remote: &Reference) -> Result<PushReport, PushFault> {
        let store = self.store().map_err(ClientError::from)?;
        let registry = self.registry(&[remote])?;
        let options = PushOptions {
            progress: Arc::clone(&self.progress),
            ..PushOptions::default()
        };
        Ok(registry.push(&store, local, remote, options).await?)
    }

    /// Copies `from` to `to`, from registry to registry, with what refers to it where `referrers` says so.
    ///
    /// # Errors
    /// See [`CopyFault`]; the tag at the target is set last.
    pub async fn copy(&self, from: &Reference, to: &Reference, referrers: bool) -> Result<CopyReport, CopyFault> {
        let registry = self.registry(&[from, to])?;
        let options = CopyOptions {
            referrers,
            progress: Arc::clone(&self.progress),
        };
        Ok(registry.copy(from, to, options).await?)
    }
}
