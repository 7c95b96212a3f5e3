//! Registries: pulling into the store and pushing from it, over the OCI distribution protocol (v1.1).
//!
//! A [`Registry`] trusts no answer: every body is bounded before it is read and hashed before it is used, and nothing of an
//! artifact but its manifest and signatures is fetched before the trust policy has decided.

mod auth;
mod config;
mod credentials;
mod download;
mod error;
mod http;
mod progress;
mod pull;
mod push;
mod referrers;
mod remote;
mod retry;
mod transport;
mod upload;

pub use config::{RegistryConfig, RetryPolicy};
pub use credentials::{Credential, CredentialError, CredentialSource};
pub use error::{PullError, PushError};
pub use progress::{NoProgress, Progress};
pub use pull::{PullOptions, PullReport};
pub use push::{PushOptions, PushReport};
pub use transport::TransportError;

/// A client for any number of registries. Cloning is cheap, and clones share connections and tokens.
#[derive(Debug, Clone)]
pub struct Registry {
    http: http::Http,
}

impl Registry {
    /// A client with this configuration. Nothing is contacted yet.
    ///
    /// # Errors
    /// When a certificate or the proxy URL cannot be used.
    pub fn new(config: RegistryConfig) -> Result<Self, TransportError> {
        Ok(Self {
            http: http::Http::new(config)?,
        })
    }
}
