//! [`Endpoint`]: a place that speaks the distribution protocol, and the HTTP client that reaches it.

use std::time::Duration;

use reqwest::Url;
use reqwest::redirect::Policy;

use super::config::{PeerConfig, RegistryConfig};
use super::transport::TransportError;

/// Redirects followed for one request.
const MAX_REDIRECTS: usize = 5;

/// A place that speaks the distribution protocol.
#[derive(Debug, Clone)]
pub(super) struct Endpoint {
    /// The name under which credentials for it are kept.
    pub(super) name: String,
    /// `https://host/v2/`, or `http` where that is configured.
    pub(super) base: Url,
    pub(super) client: reqwest::Client,
    /// How long it may stay silent.
    pub(super) patience: Duration,
    /// Bytes per second, over as long as the patience lasts, below which it counts as dead.
    pub(super) bytes_per_second: u64,
    /// The registry that is meant, told with every request: peers have content of several.
    namespace: Option<String>,
}

impl Endpoint {
    pub(super) fn new(
        name: &str,
        host: &str,
        plain: bool,
        client: reqwest::Client,
        patience: Duration,
    ) -> Result<Self, TransportError> {
        let scheme = if plain { "http" } else { "https" };
        let text = format!("{scheme}://{host}/v2/");
        let base = Url::parse(&text).map_err(|error| TransportError::Protocol {
            url: text,
            reason: error.to_string(),
        })?;
        Ok(Self {
            name: name.to_owned(),
            base,
            client,
            patience,
            bytes_per_second: 0,
            namespace: None,
        })
    }

    /// The same as a peer that is asked for what is of `registry`.
    pub(super) fn for_peer(self, registry: &str, config: &PeerConfig) -> Self {
        Self {
            patience: config.patience.min(self.patience),
            bytes_per_second: config.bytes_per_second,
            namespace: Some(registry.to_owned()),
            ..self
        }
    }

    /// `url`, with the registry that is meant.
    pub(super) fn told(&self, mut url: Url) -> Url {
        if let Some(registry) = &self.namespace {
            url.query_pairs_mut().append_pair("ns", registry);
        }
        url
    }
}

/// A client under these settings. `roots_pem` are authorities beside those of the settings; peers are near, or not there.
pub(super) fn build_client(
    config: &RegistryConfig,
    roots_pem: Option<&str>,
    is_peer: bool,
) -> Result<reqwest::Client, TransportError> {
    build_client_with(config, roots_pem, is_peer, redirects)
}

fn build_client_with(
    config: &RegistryConfig,
    roots_pem: Option<&str>,
    is_peer: bool,
    redirects: fn() -> Policy,
) -> Result<reqwest::Client, TransportError> {
    let mut roots = Vec::new();
    for pem in [config.extra_roots_pem.as_deref(), roots_pem].into_iter().flatten() {
        let bundle = reqwest::Certificate::from_pem_bundle(pem.as_bytes());
        roots.extend(bundle.map_err(TransportError::Client)?);
    }
    let connect_timeout = match is_peer {
        true => config.peers.connect_timeout.min(config.connect_timeout),
        false => config.connect_timeout,
    };
    let build = |trust: &dyn Fn(reqwest::ClientBuilder) -> reqwest::ClientBuilder| {
        let mut builder = reqwest::Client::builder()
            .user_agent(&config.user_agent)
            .connect_timeout(connect_timeout)
            .referer(false)
            .redirect(redirects())
            .no_proxy();
        let exclude = config.proxy.exclude.as_deref().and_then(reqwest::NoProxy::from_string);
        if let Some(proxy) = &config.proxy.http {
            builder = builder.proxy(reqwest::Proxy::http(proxy)?.no_proxy(exclude.clone()));
        }
        if let Some(proxy) = &config.proxy.https {
            builder = builder.proxy(reqwest::Proxy::https(proxy)?.no_proxy(exclude));
        }
        trust(builder).build()
    };
    match build(&|builder| builder.tls_certs_merge(roots.clone())) {
        Ok(client) => Ok(client),
        Err(error) => {
            // Minimal images have no system certificates. Configured ones, and registries without TLS, still work.
            let client = build(&|builder| builder.tls_certs_only(roots.clone())).map_err(TransportError::Client)?;
            tracing::warn!(%error, "no system certificates: trusting the configured ones only");
            Ok(client)
        }
    }
}

/// A client under the same settings that follows no redirects.
pub(super) fn plain_client(config: &RegistryConfig) -> Result<reqwest::Client, TransportError> {
    build_client_with(config, None, false, Policy::none)
}

/// reqwest drops credentials when host, port or scheme change; leaving TLS is refused even without them.
fn redirects() -> Policy {
    Policy::custom(|attempt| {
        let leaves_tls = attempt.url().scheme() != "https"
            && attempt
                .previous()
                .last()
                .is_some_and(|previous| previous.scheme() == "https");
        if leaves_tls {
            attempt.error("redirect away from TLS")
        } else if attempt.previous().len() > MAX_REDIRECTS {
            attempt.error("too many redirects")
        } else {
            attempt.follow()
        }
    })
}
