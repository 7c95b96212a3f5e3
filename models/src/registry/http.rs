//! HTTP with the bounds that hostile servers make necessary: every body has a cap, every wait an end, redirects never
//! leave TLS, and credentials go to the registry's own origin only.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;

use reqwest::header::{AUTHORIZATION, HeaderValue, RETRY_AFTER};
use reqwest::{RequestBuilder, Response, StatusCode, Url};
use tokio::sync::Mutex;

use super::auth::{Access, Challenge};
use super::body::Body;
use super::config::RegistryConfig;
use super::credentials::Credential;
use super::endpoint::{Endpoint, build_client};
use super::mirror::{MirrorEndpoint, MirrorRule};
use super::retry::parse_retry_after;
use super::transport::TransportError;

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

impl Http {
    pub(super) fn new(config: RegistryConfig) -> Result<Self, TransportError> {
        let client = build_client(&config, None, false)?;
        let mut mirrors = Vec::new();
        for rule in &config.mirrors {
            let mut endpoints = Vec::new();
            for endpoint in &rule.endpoints {
                let client = match &endpoint.extra_roots_pem {
                    None if !endpoint.peer => client.clone(),
                    roots => build_client(&config, roots.as_deref(), endpoint.peer)?,
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
        Endpoint::new(registry, host, plain, client, config.stall_timeout)
    }

    /// The mirrors and peers of `registry`, in order.
    pub(super) fn mirrors(&self, registry: &str) -> Result<Vec<(MirrorEndpoint, Endpoint)>, TransportError> {
        let rule = self.0.mirrors.iter().find(|(rule, _)| rule.applies(registry));
        let endpoints = rule.map(|(_, endpoints)| endpoints.as_slice()).unwrap_or_default();
        let reach = |(mirror, client): &(MirrorEndpoint, reqwest::Client)| {
            let (host, _) = mirror.parts();
            let config = self.config();
            let endpoint = Endpoint::new(host, host, mirror.plain_http, client.clone(), config.stall_timeout)?;
            let endpoint = match mirror.peer {
                true => endpoint.for_peer(registry, &config.peers),
                false => endpoint,
            };
            Ok((mirror.clone(), endpoint))
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
        let waited = endpoint.patience;
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
        let body = Body::new(self.config().stall_timeout, url, response)
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

pub(super) fn request_error(url: &Url, source: reqwest::Error) -> TransportError {
    TransportError::Request {
        url: shown(url),
        source: source.without_url(),
    }
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
