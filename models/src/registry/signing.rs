//! The HTTP client of keyless signing: requests to the services of a Sigstore instance, under the registries' TLS and proxy
//! settings, and without redirects.

use dunlin_sigstore::sign::{Answer, Http, HttpError, HttpFuture, Post};
use reqwest::header::{ACCEPT, CONTENT_TYPE};

use super::Registry;
use super::endpoint::plain_client;
use super::transport::TransportError;

/// A client for signing services.
#[derive(Debug, Clone)]
pub struct SigningHttp {
    client: reqwest::Client,
}

impl Registry {
    /// A client for the services of keyless signing, with this registry client's certificates and proxies.
    ///
    /// # Errors
    /// When a certificate or the proxy URL cannot be used.
    pub fn signing_http(&self) -> Result<SigningHttp, TransportError> {
        Ok(SigningHttp {
            client: plain_client(self.http.config())?,
        })
    }
}

impl Http for SigningHttp {
    fn post<'a>(&'a self, post: Post<'a>) -> HttpFuture<'a> {
        Box::pin(async move {
            let after = post.timeout;
            match tokio::time::timeout(after, self.answer(&post)).await {
                Ok(answer) => answer,
                Err(_) => Err(HttpError::TimedOut { after }),
            }
        })
    }
}

impl SigningHttp {
    async fn answer(&self, post: &Post<'_>) -> Result<Answer, HttpError> {
        let failed = |source: reqwest::Error| HttpError::Failed {
            source: Box::new(source.without_url()),
        };
        let request = self
            .client
            .post(&post.url)
            .header(CONTENT_TYPE, post.content_type)
            .header(ACCEPT, post.accept)
            .body(post.body.to_vec());
        let mut response = request.send().await.map_err(failed)?;
        let status = response.status().as_u16();
        let mut body = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(failed)? {
            if body.len().saturating_add(piece.len()) > post.answer_cap {
                return Err(HttpError::TooLarge { cap: post.answer_cap });
            }
            body.extend_from_slice(&piece);
        }
        Ok(Answer { status, body })
    }
}
