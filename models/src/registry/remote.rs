//! One repository of one registry: manifests and small blobs in memory, all bounded and checked.

use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap};
use reqwest::{Response, Url};

use super::auth::Access;
use super::body::Body;
use super::config::RetryPolicy;
use super::endpoint::Endpoint;
use super::http::{Http, shown};
use super::retry::retrying;
use super::transport::TransportError;
use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::manifest::MAX_DOCUMENT_BYTES;
use crate::media_type;

/// A repository at one endpoint, and the client that speaks to it.
#[derive(Debug, Clone)]
pub(super) struct Remote {
    pub(super) http: Http,
    pub(super) endpoint: Endpoint,
    pub(super) repository: String,
    /// How often to ask: mirrors are not asked twice.
    pub(super) retry: RetryPolicy,
    base: Url,
}

/// A manifest as a registry sent it.
#[derive(Debug)]
pub(super) struct Fetched {
    pub(super) bytes: Vec<u8>,
    /// `Content-Type` without parameters, when it is one of the four manifest types.
    pub(super) media_type: Option<&'static str>,
    /// `Docker-Content-Digest`, when it is a digest of ours.
    pub(super) stated: Option<Digest>,
}

impl Remote {
    pub(super) fn new(
        http: &Http,
        endpoint: Endpoint,
        repository: &str,
        retry: RetryPolicy,
    ) -> Result<Self, TransportError> {
        let base = join(&endpoint.base, &format!("{repository}/"))?;
        Ok(Self {
            http: http.clone(),
            endpoint,
            repository: repository.to_owned(),
            retry,
            base,
        })
    }

    /// The URL of `path` in this repository.
    pub(super) fn url(&self, path: &str) -> Result<Url, TransportError> {
        Ok(self.endpoint.told(join(&self.base, path)?))
    }

    /// Sends a request that has no body.
    pub(super) async fn request(
        &self,
        method: reqwest::Method,
        access: Access,
        url: &Url,
        accept: &str,
    ) -> Result<Response, TransportError> {
        let build = |client: &reqwest::Client| client.request(method.clone(), url.clone()).header(ACCEPT, accept);
        self.http
            .send(&self.endpoint, &self.repository, access, url, build)
            .await
    }

    /// The manifest under a tag or digest, of at most `limit` bytes.
    pub(super) async fn manifest(&self, name: &str, limit: u64) -> Result<Fetched, TransportError> {
        let url = self.url(&format!("manifests/{name}"))?;
        let accept = media_type::MANIFESTS.join(", ");
        retrying(self.retry, || async {
            let response = self.request(reqwest::Method::GET, Access::Pull, &url, &accept).await?;
            let response = self.http.expect(&url, response, &[200]).await?;
            let media_type = content_type(response.headers());
            let stated = response.headers().get("docker-content-digest");
            let stated = stated.and_then(|digest| digest.to_str().ok()?.parse().ok());
            let bytes = Body::new(self.endpoint.patience, &url, response)
                .read(limit.min(MAX_DOCUMENT_BYTES))
                .await?;
            Ok(Fetched {
                bytes,
                media_type,
                stated,
            })
        })
        .await
    }

    /// A blob in memory, checked against its descriptor, of at most `limit` bytes.
    pub(super) async fn small_blob(&self, descriptor: &Descriptor, limit: u64) -> Result<Vec<u8>, TransportError> {
        let url = self.url(&format!("blobs/{}", descriptor.digest))?;
        if descriptor.size > limit {
            return Err(TransportError::TooLong {
                url: shown(&url),
                limit,
            });
        }
        let bytes = retrying(self.retry, || async {
            let response = self.request(reqwest::Method::GET, Access::Pull, &url, "*/*").await?;
            let response = self.http.expect(&url, response, &[200]).await?;
            Body::new(self.endpoint.patience, &url, response)
                .read(descriptor.size)
                .await
        })
        .await?;
        let found = Digest::of(&bytes);
        if found != descriptor.digest {
            let reason = format!("the bytes have the digest {found}");
            return Err(TransportError::Protocol {
                url: shown(&url),
                reason,
            });
        }
        Ok(bytes)
    }

    /// Stores a manifest under a tag or digest. Returns whether the registry keeps track of its subject by itself.
    pub(super) async fn put_manifest(
        &self,
        name: &str,
        media_type: &str,
        bytes: &[u8],
    ) -> Result<bool, TransportError> {
        let url = self.url(&format!("manifests/{name}"))?;
        let build = |client: &reqwest::Client| {
            client
                .put(url.clone())
                .header(CONTENT_TYPE, media_type)
                .body(bytes.to_vec())
        };
        retrying(self.retry, || async {
            let response = self
                .http
                .send(&self.endpoint, &self.repository, Access::Push, &url, build)
                .await?;
            let response = self.http.expect(&url, response, &[201, 200, 202]).await?;
            Ok(response.headers().contains_key("oci-subject"))
        })
        .await
    }
}

fn join(base: &Url, path: &str) -> Result<Url, TransportError> {
    base.join(path).map_err(|error| TransportError::Protocol {
        url: shown(base),
        reason: error.to_string(),
    })
}

fn content_type(headers: &HeaderMap) -> Option<&'static str> {
    let value = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let value = value.split(';').next().unwrap_or(value).trim();
    media_type::MANIFESTS
        .into_iter()
        .find(|known| known.eq_ignore_ascii_case(value))
}
