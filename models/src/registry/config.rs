//! How registries are reached: plain data, made by the node from its own configuration.

use std::collections::BTreeSet;
use std::time::Duration;

use super::credentials::CredentialSource;

/// Time to connect, TLS included: several round trips of a bad mobile link.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// Time without a single byte after which a transfer counts as dead.
const STALL_TIMEOUT: Duration = Duration::from_secs(30);
/// Attempts after the first.
const RETRIES: u32 = 5;
/// First pause; doubled with every attempt.
const RETRY_BASE: Duration = Duration::from_millis(250);
/// Longest pause, whatever the registry asks for.
const RETRY_CAP: Duration = Duration::from_secs(60);

/// Configuration of a [`super::Registry`].
#[derive(Debug, Clone)]
pub struct RegistryConfig {
    /// Registries spoken to without TLS, as `host` or `host:port`.
    pub plain_http: BTreeSet<String>,
    /// Whether loopback addresses and `localhost` are spoken to without TLS.
    pub plain_http_loopback: bool,
    /// Further certificate authorities in PEM, beside the system's.
    pub extra_roots_pem: Option<String>,
    /// Where passwords and tokens come from.
    pub credentials: CredentialSource,
    /// `User-Agent` of every request.
    pub user_agent: String,
    /// URL of a proxy for all requests; the environment's proxy settings are not looked at.
    pub proxy: Option<String>,
    /// Time to connect.
    pub connect_timeout: Duration,
    /// Time without a byte after which a transfer is given up and tried again.
    pub stall_timeout: Duration,
    /// What to do after a failure that may pass.
    pub retry: RetryPolicy,
}

impl Default for RegistryConfig {
    fn default() -> Self {
        Self {
            plain_http: BTreeSet::new(),
            plain_http_loopback: false,
            extra_roots_pem: None,
            credentials: CredentialSource::Anonymous,
            user_agent: concat!("dunlin/", env!("CARGO_PKG_VERSION")).to_owned(),
            proxy: None,
            connect_timeout: CONNECT_TIMEOUT,
            stall_timeout: STALL_TIMEOUT,
            retry: RetryPolicy::default(),
        }
    }
}

/// Retries of requests that failed by connection, time-out, status 408, 429 or 5xx.
#[derive(Debug, Clone, Copy)]
pub struct RetryPolicy {
    /// Attempts after the first.
    pub retries: u32,
    /// First pause; doubled with every attempt, and shortened by up to half at random.
    pub base: Duration,
    /// Longest pause, also for a `Retry-After`.
    pub cap: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            retries: RETRIES,
            base: RETRY_BASE,
            cap: RETRY_CAP,
        }
    }
}
