//! [`Body`]: the body of an answer, with a cap on its length and an end to every wait.

use std::time::Duration;

use bytes::Bytes;
use reqwest::{Response, Url};

use super::http::{request_error, shown};
use super::transport::TransportError;

/// The body of an answer, read piece by piece.
pub(super) struct Body<'a> {
    patience: Duration,
    url: &'a Url,
    response: Response,
}

impl<'a> Body<'a> {
    /// `patience` is how long to wait for a piece.
    pub(super) fn new(patience: Duration, url: &'a Url, response: Response) -> Self {
        Self {
            patience,
            url,
            response,
        }
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
    pub(super) fn patience(&self) -> Duration {
        self.patience
    }

    /// The error for a body that does not come on.
    pub(super) fn stalled(&self) -> TransportError {
        TransportError::Stalled {
            url: shown(self.url),
            waited: self.patience,
        }
    }

    /// The next piece; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, TransportError> {
        match tokio::time::timeout(self.patience, self.response.chunk()).await {
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
