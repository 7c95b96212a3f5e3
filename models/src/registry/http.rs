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
    headers: Mutex<HashMap<(String, String, Access), HeaderValue>>,
    credentials: Mutex<HashMap<String, Option<Credential>>>,
}

impl Http {
    pub(super) fn new(config: RegistryConfig) -> Result<Self, TransportError> {
        let roots = match &config.extra_roots_pem {
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
            if let Some(proxy) = &config.proxy {
                builder = builder.proxy(reqwest::Proxy::all(proxy)?);
            }
            trust(builder).build()
        };
        let client = match build(&|builder| builder.tls_certs_merge(roots.clone())) {
            Ok(client) => client,
            Err(error) => {
                // Minimal images have no system certificates. Configured ones, and registries without TLS, still work.
                let client = build(&|builder| builder.tls_certs_only(roots.clone())).map_err(TransportError::Client)?;
                tracing::warn!(%error, "no system certificates: trusting the configured ones only");
                client
            }
        };
        Ok(Self(Arc::new(Shared {
            client,
            config,
            headers: Mutex::default(),
            credentials: Mutex::default(),
        })))
    }

    pub(super) fn client(&self) -> &reqwest::Client {
        &self.0.client
    }

    pub(super) fn config(&self) -> &RegistryConfig {
        &self.0.config
    }

    /// `https://registry/v2/`, or `http` where that is configured.
    pub(super) fn base(&self, registry: &str) -> Result<Url, TransportError> {
        // Docker's registry answers under another name than the one that references use.
        let host = if registry == "docker.io" {
            "registry-1.docker.io"
        } else {
            registry
        };
        let scheme = if self.is_plain(registry) { "http" } else { "https" };
        let text = format!("{scheme}://{host}/v2/");
        Url::parse(&text).map_err(|error| TransportError::Protocol {
            url: text,
            reason: error.to_string(),
        })
    }

    fn is_plain(&self, registry: &str) -> bool {
        let config = self.config();
        config.plain_http.contains(registry) || (config.plain_http_loopback && is_loopback(registry))
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
        registry: &str,
        repository: &str,
        access: Access,
        url: &Url,
        build: impl Fn(&reqwest::Client) -> RequestBuilder,
    ) -> Result<Response, TransportError> {
        let waited = self.config().stall_timeout;
        let send = self.send_streaming(registry, repository, access, url, build);
        let stalled = |_| TransportError::Stalled {
            url: shown(url),
            waited,
        };
        tokio::time::timeout(waited, send).await.map_err(stalled)?
    }

    /// The same without an end to the wait, for requests whose body takes its time.
    pub(super) async fn send_streaming(
        &self,
        registry: &str,
        repository: &str,
        access: Access,
        url: &Url,
        build: impl Fn(&reqwest::Client) -> RequestBuilder,
    ) -> Result<Response, TransportError> {
        let is_own = url.origin() == self.base(registry)?.origin();
        if !is_own {
            return self.execute(url, build(self.client())).await;
        }
        let key = (registry.to_owned(), repository.to_owned(), access);
        let known = self.0.headers.lock().await.get(&key).cloned();
        let request = authorized(build(self.client()), known.as_ref());
        let response = self.execute(url, request).await?;
        if response.status() != StatusCode::UNAUTHORIZED {
            return Ok(response);
        }
        let unauthorized = || TransportError::Unauthorized {
            url: shown(url),
            registry: registry.to_owned(),
        };
        let challenge = Challenge::parse(response.headers()).ok_or_else(unauthorized)?;
        drop(response);
        let header = self.authorize(registry, repository, access, challenge).await?;
        self.0.headers.lock().await.insert(key, header.clone());
        let response = self
            .execute(url, authorized(build(self.client()), Some(&header)))
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

    /// Bytes announced.
    pub(super) fn announced(&self) -> Option<u64> {
        self.response.content_length()
    }

    /// The next piece; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, TransportError> {
        let waited = self.http.config().stall_timeout;
        match tokio::time::timeout(waited, self.response.chunk()).await {
            Ok(piece) => piece.map_err(|source| request_error(self.url, source)),
            Err(_) => Err(TransportError::Stalled {
                url: shown(self.url),
                waited,
            }),
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
                .base(registry)
                .unwrap()
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
