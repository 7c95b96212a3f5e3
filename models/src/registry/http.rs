//! HTTP with the bounds that hostile servers make necessary: every body has a cap, every wait an end, redirects never
//! leave TLS, and credentials go to the registry's own origin only.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use reqwest::header::{AUTHORIZATION, HeaderValue, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{RequestBuilder, Response, StatusCode, Url};
use tokio::sync::Mutex;

use super::auth::{Access, Challenge};
use super::config::RegistryConfig;
use super::credentials::Credential;
use super::mirror::{MirrorEndpoint, MirrorRule};
use super::retry::parse_retry_after;
use super::transport::TransportError;

/// Redirects followed for one request.
const MAX_REDIRECTS: usize = 5;
/// Most of an error answer that is read, in bytes.
const MAX_ERROR_BYTES: u64 = 16 << 10;
/// Most of an error answer that is shown, in characters.
const MAX_MESSAGE_CHARS: usize = 256;

/// A client, its configuration, and what it has learned about logging in. Cloning is cheap.
#[derive(Debug, Clone)]
pub(super) struct Http(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    client: reqwest::Client,
    config: RegistryConfig,
    mirrors: Vec<(MirrorRule, Vec<(MirrorEndpoint, reqwest::Client)>)>,
    headers: Mutex<HashMap<(String, String, Access), HeaderValue>>,
    credentials: Mutex<HashMap<String, Option<Credential>>>,
    /// Held while logging in, so that parallel requests log in once.
    login: Mutex<()>,
}

/// A place that speaks the distribution protocol.
#[derive(Debug, Clone)]
pub(super) struct Endpoint {
    /// The name under which credentials for it are kept.
    pub(super) name: String,
    /// `https://host/v2/`, or `http` where that is configured.
    pub(super) base: Url,
    pub(super) client: reqwest::Client,
}

impl Endpoint {
    fn new(name: &str, host: &str, plain: bool, client: reqwest::Client) -> Result<Self, TransportError> {
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
        })
    }
}

impl Http {
    pub(super) fn new(config: RegistryConfig) -> Result<Self, TransportError> {
        let client = build_client(&config, config.extra_roots_pem.as_deref())?;
        let mut mirrors = Vec::new();
        for rule in &config.mirrors {
            let mut endpoints = Vec::new();
            for endpoint in &rule.endpoints {
                let roots = [&config.extra_roots_pem, &endpoint.extra_roots_pem];
                let roots: String = roots.into_iter().flatten().map(|pem| format!("{pem}\n")).collect();
                let client = match &endpoint.extra_roots_pem {
                    Some(_) => build_client(&config, Some(&roots))?,
                    None => client.clone(),
                };
                endpoints.push((endpoint.clone(), client));
            }
            mirrors.push((rule.clone(), endpoints));
        }
        Ok(Self(Arc::new(Shared {
            client,
            config,
            mirrors,
            headers: Mutex::default(),
            credentials: Mutex::default(),
            login: Mutex::default(),
        })))
    }

    pub(super) fn config(&self) -> &RegistryConfig {
        &self.0.config
    }

    /// The registry of that name itself.
    pub(super) fn origin(&self, registry: &str) -> Result<Endpoint, TransportError> {
        // Docker's registry answers under another name than the one that references use.
        let host = if registry == "docker.io" {
            "registry-1.docker.io"
        } else {
            registry
        };
        let config = self.config();
        let plain = config.plain_http.contains(registry) || (config.plain_http_loopback && is_loopback(registry));
        let client = self.0.client.clone();
        Endpoint::new(registry, host, plain, client)
    }

    /// The mirrors of `registry`, in order.
    pub(super) fn mirrors(&self, registry: &str) -> Result<Vec<(MirrorEndpoint, Endpoint)>, TransportError> {
        let rule = self.0.mirrors.iter().find(|(rule, _)| rule.applies(registry));
        let endpoints = rule.map(|(_, endpoints)| endpoints.as_slice()).unwrap_or_default();
        let reach = |(mirror, client): &(MirrorEndpoint, reqwest::Client)| {
            let (host, _) = mirror.parts();
            Ok((
                mirror.clone(),
                Endpoint::new(host, host, mirror.plain_http, client.clone())?,
            ))
        };
        endpoints.iter().map(reach).collect()
    }

    /// What is configured for `registry`; asked for once, since a helper may prompt or be slow.
    pub(super) async fn credential(&self, registry: &str) -> Result<Option<Credential>, TransportError> {
        let mut known = self.0.credentials.lock().await;
        if let Some(credential) = known.get(registry) {
            return Ok(credential.clone());
        }
        let (source, name) = (self.config().credentials.clone(), registry.to_owned());
        let failed = |reason: String| TransportError::Authentication {
            registry: registry.to_owned(),
            reason,
        };
        let found = tokio::task::spawn_blocking(move || source.find(&name));
        let found = tokio::time::timeout(self.config().stall_timeout, found)
            .await
            .map_err(|_| failed("the credential helper does not answer".to_owned()))?
            .map_err(|error| failed(error.to_string()))?
            .map_err(|source| TransportError::Credentials {
                registry: registry.to_owned(),
                source,
            })?;
        known.insert(registry.to_owned(), found.clone());
        Ok(found)
    }

    /// Sends what `build` makes, logging in when the registry asks for it. Statuses other than 401 are the caller's.
    pub(super) async fn send(
        &self,
        endpoint: &Endpoint,
        repository: &str,
        access: Access,
        url: &Url,
        build: impl Fn(&reqwest::Client) -> RequestBuilder,
    ) -> Result<Response, TransportError> {
        let waited = self.config().stall_timeout;
        let send = self.send_streaming(endpoint, repository, access, url, build);
        let stalled = |_| TransportError::Stalled {
            url: shown(url),
            waited,
        };
        tokio::time::timeout(waited, send).await.map_err(stalled)?
    }

    /// The same without an end to the wait, for requests whose body takes its time.
    pub(super) async fn send_streaming(
        &self,
        endpoint: &Endpoint,
        repository: &str,
        access: Access,
        url: &Url,
        build: impl Fn(&reqwest::Client) -> RequestBuilder,
    ) -> Result<Response, TransportError> {
        let own = endpoint.base.origin();
        if url.origin() != own {
            return self.execute(url, build(&endpoint.client)).await;
        }
        let key = (endpoint.name.clone(), repository.to_owned(), access);
        let known = self.0.headers.lock().await.get(&key).cloned();
        let request = authorized(build(&endpoint.client), known.as_ref());
        let response = self.execute(url, request).await?;
        // After a redirect somebody else asks, who is not to have the registry's credentials.
        if response.status() != StatusCode::UNAUTHORIZED || response.url().origin() != own {
            return Ok(response);
        }
        let unauthorized = || TransportError::Unauthorized {
            url: shown(url),
            registry: endpoint.name.clone(),
        };
        let challenge = Challenge::parse(response.headers()).ok_or_else(unauthorized)?;
        drop(response);
        let header = {
            let _login = self.0.login.lock().await;
            let current = self.0.headers.lock().await.get(&key).cloned();
            match current {
                // Another request has logged in meanwhile.
                Some(header) if Some(&header) != known.as_ref() => header,
                _ => {
                    let header = self.authorize(endpoint, repository, access, challenge).await?;
                    self.0.headers.lock().await.insert(key, header.clone());
                    header
                }
            }
        };
        let response = self
            .execute(url, authorized(build(&endpoint.client), Some(&header)))
            .await?;
        if response.status() == StatusCode::UNAUTHORIZED {
            return Err(unauthorized());
        }
        Ok(response)
    }

    /// Sends a request, and waits for the head of the answer without end.
    pub(super) async fn execute(&self, url: &Url, request: RequestBuilder) -> Result<Response, TransportError> {
        request.send().await.map_err(|source| request_error(url, source))
    }

    /// The response, if its status is one of `statuses`; else the error that it stands for.
    pub(super) async fn expect(
        &self,
        url: &Url,
        response: Response,
        statuses: &[u16],
    ) -> Result<Response, TransportError> {
        let status = response.status().as_u16();
        if statuses.contains(&status) {
            return Ok(response);
        }
        let retry_after = response
            .headers()
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok());
        let retry_after = retry_after.and_then(|value| parse_retry_after(value, SystemTime::now()));
        let body = Body::new(self, url, response)
            .read(MAX_ERROR_BYTES)
            .await
            .unwrap_or_default();
        Err(TransportError::Status {
            url: shown(url),
            status,
            message: message(&body),
            retry_after,
        })
    }
}

/// The body of an answer, read piece by piece.
pub(super) struct Body<'a> {
    http: &'a Http,
    url: &'a Url,
    response: Response,
}

impl<'a> Body<'a> {
    pub(super) fn new(http: &'a Http, url: &'a Url, response: Response) -> Self {
        Self { http, url, response }
    }

    /// Head of the answer.
    pub(super) fn headers(&self) -> &reqwest::header::HeaderMap {
        self.response.headers()
    }

    /// Bytes announced.
    pub(super) fn announced(&self) -> Option<u64> {
        self.response.content_length()
    }

    pub(super) fn url(&self) -> &Url {
        self.url
    }

    /// How long to wait for a piece.
    pub(super) fn patience(&self) -> std::time::Duration {
        self.http.config().stall_timeout
    }

    /// The error for a body that does not come on.
    pub(super) fn stalled(&self) -> TransportError {
        TransportError::Stalled {
            url: shown(self.url),
            waited: self.patience(),
        }
    }

    /// The next piece; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, TransportError> {
        match tokio::time::timeout(self.patience(), self.response.chunk()).await {
            Ok(piece) => piece.map_err(|source| request_error(self.url, source)),
            Err(_) => Err(self.stalled()),
        }
    }

    /// The error for more than `limit` bytes.
    pub(super) fn too_long(&self, limit: u64) -> TransportError {
        TransportError::TooLong {
            url: shown(self.url),
            limit,
        }
    }

    /// The whole body, if it has at most `limit` bytes.
    pub(super) async fn read(mut self, limit: u64) -> Result<Vec<u8>, TransportError> {
        if self.announced().is_some_and(|announced| announced > limit) {
            return Err(self.too_long(limit));
        }
        let mut bytes = Vec::new();
        while let Some(piece) = self.next().await? {
            let total = bytes.len().saturating_add(piece.len());
            if u64::try_from(total).is_ok_and(|total| total > limit) {
                return Err(self.too_long(limit));
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes)
    }
}

fn build_client(config: &RegistryConfig, roots_pem: Option<&str>) -> Result<reqwest::Client, TransportError> {
    build_client_with(config, roots_pem, redirects)
}

fn build_client_with(
    config: &RegistryConfig,
    roots_pem: Option<&str>,
    redirects: fn() -> Policy,
) -> Result<reqwest::Client, TransportError> {
    let roots = match roots_pem {
        Some(pem) => reqwest::Certificate::from_pem_bundle(pem.as_bytes()).map_err(TransportError::Client)?,
        None => Vec::new(),
    };
    let build = |trust: &dyn Fn(reqwest::ClientBuilder) -> reqwest::ClientBuilder| {
        let mut builder = reqwest::Client::builder()
            .user_agent(&config.user_agent)
            .connect_timeout(config.connect_timeout)
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
    build_client_with(config, config.extra_roots_pem.as_deref(), Policy::none)
}

fn authorized(request: RequestBuilder, header: Option<&HeaderValue>) -> RequestBuilder {
    match header {
        Some(header) => request.header(AUTHORIZATION, header.clone()),
        None => request,
    }
}

/// A URL for messages: without query, fragment or user.
pub(super) fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    // A URL that cannot have a user has none to hide.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.into()
}

fn request_error(url: &Url, source: reqwest::Error) -> TransportError {
    TransportError::Request {
        url: shown(url),
        source: source.without_url(),
    }
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

fn is_loopback(registry: &str) -> bool {
    let host = match registry.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => registry,
    };
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || address
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// What an error answer says: the registry's own error text (distribution-spec, "Error Codes"), without control characters.
fn message(body: &[u8]) -> String {
    let json = serde_json::from_slice::<serde_json::Value>(body).unwrap_or_default();
    let first = json.get("errors").and_then(|errors| errors.get(0));
    let part = |name| {
        first
            .and_then(|first| first.get(name))
            .and_then(serde_json::Value::as_str)
            .unwrap_or_default()
    };
    let text = [part("code"), part("message")].join(" ");
    text.trim()
        .chars()
        .filter(|c| !c.is_control())
        .take(MAX_MESSAGE_CHARS)
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn plain_http_is_opt_in() {
        let scheme = |config: &RegistryConfig, registry: &str| {
            Http::new(config.clone())
                .unwrap()
                .origin(registry)
                .unwrap()
                .base
                .scheme()
                .to_owned()
        };
        let mut config = RegistryConfig::default();
        assert_eq!(scheme(&config, "localhost:5000"), "https");
        config.plain_http_loopback = true;
        for registry in ["localhost", "localhost:5000", "127.0.0.1:5000", "[::1]:5000"] {
            assert_eq!(scheme(&config, registry), "http", "{registry}");
        }
        for registry in [
            "registry.example",
            "localhost.example:80",
            "127.0.0.1.example",
            "10.0.0.1:5000",
        ] {
            assert_eq!(scheme(&config, registry), "https", "{registry}");
        }
        config.plain_http.insert("10.0.0.1:5000".to_owned());
        assert_eq!(scheme(&config, "10.0.0.1:5000"), "http");
    }

    #[test]
    fn messages_are_short_and_clean() {
        let body = br#"{"errors":[{"code":"DENIED","message":"no \u001b[31maccess"}]}"#;
        assert_eq!(message(body), "DENIED no [31maccess");
        assert_eq!(message(b"<html>"), "");
        let long = format!(r#"{{"errors":[{{"message":"{}"}}]}}"#, "x".repeat(9999));
        assert_eq!(message(long.as_bytes()).len(), MAX_MESSAGE_CHARS);
        let url = Url::parse("https://user:pass@registry.example/v2/a?secret=1#x").unwrap();
        assert_eq!(shown(&url), "https://registry.example/v2/a");
    }
}
