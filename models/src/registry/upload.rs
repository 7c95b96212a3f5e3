//! Blobs from the store to a registry: asked for first, then streamed in one request in constant memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{Bytes, BytesMut};
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, LOCATION};
use reqwest::{Response, Url};
use tokio::io::AsyncReadExt as _;

use super::auth::Access;
use super::http::shown;
use super::progress::Progress;
use super::remote::Remote;
use super::retry::{Transient, retrying};
use super::transport::TransportError;
use crate::descriptor::Descriptor;
use crate::store::{Store, StoreError};

/// Bytes read and sent at a time.
const PIECE_BYTES: usize = 256 << 10;
/// Stall time-outs that a registry has after the last byte, to hash the blob and move it into place.
const COMMIT_PATIENCE: u32 = 10;

/// Which side of an upload failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum UploadError {
    #[error(transparent)]
    Transport(#[from] TransportError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Transient for UploadError {
    fn transport(&self) -> Option<&TransportError> {
        match self {
            Self::Transport(error) => Some(error),
            Self::Store(_) => None,
        }
    }
}

impl Remote {
    /// Makes sure that the repository has `blob`; returns whether it had it before.
    pub(super) async fn upload(
        &self,
        store: &Store,
        blob: &Descriptor,
        progress: &Arc<dyn Progress>,
    ) -> Result<bool, UploadError> {
        let reused = self.has_blob(blob).await?;
        if !reused {
            retrying(self.http.config().retry, || self.upload_once(store, blob, progress)).await?;
        }
        progress.end(blob, reused);
        Ok(reused)
    }

    async fn has_blob(&self, blob: &Descriptor) -> Result<bool, TransportError> {
        let url = self.url(&format!("blobs/{}", blob.digest))?;
        retrying(self.http.config().retry, || async {
            let response = self.request(reqwest::Method::HEAD, Access::Push, &url, "*/*").await?;
            Ok(self.http.expect(&url, response, &[200, 404]).await?.status().as_u16() == 200)
        })
        .await
    }

    async fn upload_once(
        &self,
        store: &Store,
        blob: &Descriptor,
        progress: &Arc<dyn Progress>,
    ) -> Result<(), UploadError> {
        progress.begin(blob);
        let url = self.url("blobs/uploads/")?;
        let begin = |client: &reqwest::Client| client.post(url.clone()).header(CONTENT_LENGTH, 0);
        let response = self
            .http
            .send(&self.registry, &self.repository, Access::Push, &url, begin)
            .await?;
        let response = self.http.expect(&url, response, &[202]).await?;
        let mut location = self.location(&url, &response)?;
        location
            .query_pairs_mut()
            .append_pair("digest", &blob.digest.to_string());
        drop(response);

        let response = self.put_stream(store, blob, &location, progress).await?;
        self.http.expect(&location, response, &[201]).await?;
        Ok(())
    }

    /// Where the registry wants the bytes. It may be another host, which then gets no credentials, but not one without TLS.
    fn location(&self, url: &Url, response: &Response) -> Result<Url, TransportError> {
        let unusable = |reason: &str| TransportError::Protocol {
            url: shown(url),
            reason: reason.to_owned(),
        };
        let location = response
            .headers()
            .get(LOCATION)
            .and_then(|location| location.to_str().ok());
        let location = location.ok_or_else(|| unusable("no upload location"))?;
        let location = url
            .join(location)
            .map_err(|_| unusable("the upload location is not a URL"))?;
        let allowed = location.scheme() == "https" || (location.scheme() == "http" && url.scheme() == "http");
        allowed
            .then_some(location)
            .ok_or_else(|| unusable("the upload location does not use TLS"))
    }

    /// Sends the blob. The head of the answer comes only after the last byte, so that a dead connection is told from a
    /// slow one by whether bytes still leave.
    async fn put_stream(
        &self,
        store: &Store,
        blob: &Descriptor,
        url: &Url,
        progress: &Arc<dyn Progress>,
    ) -> Result<Response, UploadError> {
        // Opened for its checks; each attempt to send opens the file anew.
        store.open_sized(blob)?;
        let sent = Arc::new(AtomicU64::new(0));
        let build = |client: &reqwest::Client| {
            let source = Source {
                store: store.clone(),
                blob: blob.clone(),
                sent: Arc::clone(&sent),
                progress: Arc::clone(progress),
            };
            client
                .put(url.clone())
                .header(CONTENT_TYPE, "application/octet-stream")
                .header(CONTENT_LENGTH, blob.size)
                .body(reqwest::Body::wrap_stream(source.into_stream()))
        };
        let waited = self.http.config().stall_timeout;
        let request = self
            .http
            .send_streaming(&self.registry, &self.repository, Access::Push, url, build);
        let mut request = std::pin::pin!(request);
        let (mut before, mut idle) = (None, 0);
        loop {
            tokio::select! {
                answer = &mut request => return Ok(answer?),
                () = tokio::time::sleep(waited) => {
                    let now = sent.load(Ordering::Relaxed);
                    idle = if before == Some(now) { idle + 1 } else { 0 };
                    before = Some(now);
                    let patience = if now >= blob.size { COMMIT_PATIENCE } else { 1 };
                    if idle >= patience {
                        return Err(TransportError::Stalled { url: shown(url), waited: waited * patience }.into());
                    }
                }
            }
        }
    }
}

/// A blob's file on its way into a request.
struct Source {
    store: Store,
    blob: Descriptor,
    sent: Arc<AtomicU64>,
    progress: Arc<dyn Progress>,
}

impl Source {
    fn into_stream(self) -> impl futures::Stream<Item = std::io::Result<Bytes>> + Send + 'static {
        futures::stream::try_unfold((self, None), |(source, file)| async move {
            let mut file = match file {
                Some(file) => file,
                None => source.open().await?,
            };
            let mut piece = BytesMut::with_capacity(PIECE_BYTES);
            if file.read_buf(&mut piece).await? == 0 {
                return Ok(None);
            }
            let len = u64::try_from(piece.len()).unwrap_or_default();
            source.sent.fetch_add(len, Ordering::Relaxed);
            source.progress.advance(&source.blob, len);
            Ok(Some((piece.freeze(), (source, Some(file)))))
        })
    }

    async fn open(&self) -> std::io::Result<tokio::fs::File> {
        let (store, blob) = (self.store.clone(), self.blob.clone());
        let opened = tokio::task::spawn_blocking(move || store.open_sized(&blob))
            .await
            .map_err(std::io::Error::other)?;
        let (file, _) = opened.map_err(std::io::Error::other)?;
        Ok(tokio::fs::File::from_std(file.into_parts().0))
    }
}
