//! How registries are reached: plain data, made by the node from its own configuration.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use super::credentials::CredentialSource;
use super::mirror::MirrorRule;

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

/// Connections of one pull: enough to hide round trips, few enough for a registry that counts them.
const STREAMS: usize = 4;
/// Bytes of one request: large against a round trip, small against what a retry may cost.
const RANGE_BYTES: u64 = 8 << 20;
/// Blobs sent at a time.
const UPLOADS: usize = 3;

/// Time to connect to a peer: it is near, or it is not there.
const PEER_CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Time without a single byte after which a peer is left.
const PEER_PATIENCE: Duration = Duration::from_secs(5);
/// Bytes per second below which a peer is left for the next endpoint: less than any local network has.
const PEER_BYTES_PER_SECOND: u64 = 64 << 10;

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
    /// Proxies; the environment's settings are not looked at.
    pub proxy: ProxyConfig,
    /// Mirrors and peers. The first rule that is for a registry counts.
    pub mirrors: Vec<MirrorRule>,
    /// When peers are left.
    pub peers: PeerConfig,
    /// How much is transferred at a time.
    pub transfer: TransferConfig,
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
            proxy: ProxyConfig::default(),
            mirrors: Vec::new(),
            peers: PeerConfig::default(),
            transfer: TransferConfig::default(),
            connect_timeout: CONNECT_TIMEOUT,
            stall_timeout: STALL_TIMEOUT,
            retry: RetryPolicy::default(),
        }
    }
}

/// Proxies by the scheme of the request, each a URL that may hold a user and password. `Debug` shows none of them.
#[derive(Clone, Default)]
pub struct ProxyConfig {
    /// For requests without TLS.
    pub http: Option<String>,
    /// For requests with TLS.
    pub https: Option<String>,
    /// What is reached directly: hosts, domains and address ranges, separated by commas, as in `NO_PROXY`.
    pub exclude: Option<String>,
}

impl fmt::Debug for ProxyConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProxyConfig")
            .field("http", &self.http.is_some())
            .field("https", &self.https.is_some())
            .field("exclude", &self.exclude)
            .finish()
    }
}

/// When peers are left for the next endpoint. The registry itself is waited for longer: it is the last.
#[derive(Debug, Clone, Copy)]
pub struct PeerConfig {
    /// Time to connect, if it is shorter than for others.
    pub connect_timeout: Duration,
    /// Time without a byte, if it is shorter than for others.
    pub patience: Duration,
    /// Least bytes per second of an answer, over as long as the patience lasts.
    pub bytes_per_second: u64,
}

impl Default for PeerConfig {
    fn default() -> Self {
        Self {
            connect_timeout: PEER_CONNECT_TIMEOUT,
            patience: PEER_PATIENCE,
            bytes_per_second: PEER_BYTES_PER_SECOND,
        }
    }
}

/// How much is transferred at a time.
#[derive(Debug, Clone, Copy)]
pub struct TransferConfig {
    /// Connections of one pull, over all its blobs; at least 1.
    pub streams: usize,
    /// Bytes asked for in one request; at least 1 MiB. A server without ranges sends the whole blob in one.
    pub range_bytes: u64,
    /// Blobs sent at a time; at least 1.
    pub uploads: usize,
}

impl Default for TransferConfig {
    fn default() -> Self {
        Self {
            streams: STREAMS,
            range_bytes: RANGE_BYTES,
            uploads: UPLOADS,
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
