//! Registries: pulling into the store and pushing from it, over the OCI distribution protocol (v1.1).
//!
//! A [`Registry`] trusts no answer: every body is bounded before it is read and hashed before it is used, and nothing of an
//! artifact but its manifest and signatures is fetched before the trust policy has decided.

mod auth;
mod body;
mod claim;
mod config;
mod content;
mod copy;
mod credentials;
mod download;
mod endpoint;
mod error;
mod fallback;
mod fetch;
mod http;
mod link;
mod mirror;
mod progress;
mod publish;
mod pull;
mod push;
mod referrers;
mod relay;
mod remote;
mod retry;
mod route;
mod shortcut;
mod signatures;
mod signing;
mod transport;
mod upload;

pub use config::{PeerConfig, ProxyConfig, RegistryConfig, RetryPolicy, TransferConfig};
pub use copy::{CopyError, CopyOptions, CopyReport};
pub use credentials::{Credential, CredentialError, CredentialSource, PullSecret};
pub use error::{PullError, PushError};
pub use link::Links;
pub use mirror::{MirrorEndpoint, MirrorRule};
pub use progress::{Event, Means, NoProgress, Progress};
pub use pull::{PullOptions, PullReport};
pub use push::{PushOptions, PushReport};
pub use signing::SigningHttp;
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
