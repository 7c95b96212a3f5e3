//! Blobs to a registry: asked for first, then mounted, then streamed in one request in constant memory; after a failure,
//! from where the registry acknowledges them.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use reqwest::header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderMap, LOCATION, RANGE};
use reqwest::{Method, Response, Url};

use super::auth::Access;
use super::content::Content;
use super::http::shown;
use super::progress::{Event, Progress};
use super::remote::Remote;
use super::retry::{Transient, pause, random, retrying};
use super::transport::TransportError;
use crate::descriptor::Descriptor;
use crate::store::StoreError;

/// Repositories that are asked to give a blob: each costs a round trip.
const MAX_MOUNTS: usize = 3;
/// Header with the least size of a part (distribution-spec, "Pushing a blob in chunks").
const MIN_PART: &str = "oci-chunk-min-length";
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

/// How a blob came to be in a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arrival {
    /// It was there.
    Present,
    /// The registry took it over from another repository.
    Mounted,
    /// It was sent.
    Sent,
}

/// An upload that the registry has begun.
struct Session {
    location: Url,
    /// Least bytes of a part, but for the last one.
    min_part: u64,
}

impl Remote {
    /// Makes sure that the repository has `blob`: asks, has it mounted from one of `mounts`, and only then sends it.
    pub(super) async fn upload(
        &self,
        content: &Content,
        mounts: &[String],
        progress: &Arc<dyn Progress>,
    ) -> Result<Arrival, UploadError> {
        let blob = content.blob();
        if self.has_blob(blob).await? {
            progress.event(&Event::Done { blob, reused: true });
            return Ok(Arrival::Present);
        }
        let mut session = None;
        for from in mounts.iter().take(MAX_MOUNTS) {
            // Not mounted, but an upload has begun that serves as well.
            session = self.begin(Some((blob, from))).await?;
            if session.is_none() {
                progress.event(&Event::Mounted { blob, from });
                progress.event(&Event::Done { blob, reused: true });
                return Ok(Arrival::Mounted);
            }
        }
        self.send_blob(content, session, progress).await?;
        progress.event(&Event::Done { blob, reused: false });
        Ok(Arrival::Sent)
    }

    pub(super) async fn has_blob(&self, blob: &Descriptor) -> Result<bool, TransportError> {
        let url = self.url(&format!("blobs/{}", blob.digest))?;
        retrying(self.retry, || async {
            let response = self.request(reqwest::Method::HEAD, Access::Push, &url, "*/*").await?;
            Ok(self.http.expect(&url, response, &[200, 404]).await?.status().as_u16() == 200)
        })
        .await
    }

    /// Begins an upload, asking to mount the blob instead; `None` when it was mounted.
    async fn begin(&self, mount: Option<(&Descriptor, &str)>) -> Result<Option<Session>, TransportError> {
        let mut url = self.url("blobs/uploads/")?;
        if let Some((blob, from)) = mount {
            let digest = blob.digest.to_string();
            url.query_pairs_mut()
                .append_pair("mount", &digest)
                .append_pair("from", from);
        }
        retrying(self.retry, || async {
            let begin = |client: &reqwest::Client| client.post(url.clone()).header(CONTENT_LENGTH, 0);
            let response = self
                .http
                .send(&self.endpoint, &self.repository, Access::Push, &url, begin)
                .await?;
            let statuses: &[u16] = if mount.is_some() { &[201, 202] } else { &[202] };
            let response = self.http.expect(&url, response, statuses).await?;
            if response.status().as_u16() == 201 {
                return Ok(None);
            }
            let min_part = response
                .headers()
                .get(MIN_PART)
                .and_then(|value| value.to_str().ok()?.parse().ok());
            Ok(Some(Session {
                location: location(&url, &response)?,
                min_part: min_part.unwrap_or_default(),
            }))
        })
        .await
    }

    /// Sends the blob in one request; after a failure, what the registry does not have yet in parts.
    async fn send_blob(
        &self,
        content: &Content,
        begun: Option<Session>,
        progress: &Arc<dyn Progress>,
    ) -> Result<(), UploadError> {
        let blob = content.blob();
        let (mut begun, mut failures, mut in_parts) = (begun, 0, false);
        loop {
            let mut session = match begun.take() {
                Some(session) => session,
                None => self.begin(None).await?.ok_or_else(|| self.mounted_unasked())?,
            };
            progress.event(&Event::Started { blob });
            let outcome = if in_parts {
                self.send_parts(content, &mut session, 0, progress).await
            } else {
                self.send_whole(content, &session, progress).await
            };
            let mut error = match outcome {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            // As long as the registry acknowledges more each time, it goes on; else the count of failures decides.
            let mut acknowledged = 0;
            loop {
                let transport = error.transport().filter(|transport| transport.is_transient());
                let Some(transport) = transport.filter(|_| failures < self.retry.retries) else {
                    return Err(error);
                };
                let pause = pause(self.retry, failures, transport.retry_after(), random());
                progress.event(&Event::Retry {
                    blob,
                    reason: &error.to_string(),
                    pause_ms: u64::try_from(pause.as_millis()).unwrap_or(u64::MAX),
                });
                tokio::time::sleep(pause).await;
                failures += 1;
                let Some(at) = self
                    .acknowledged(&mut session, blob)
                    .await
                    .filter(|&at| at > acknowledged)
                else {
                    break;
                };
                (acknowledged, failures) = (at, 0);
                progress.event(&Event::Resumed { blob, at });
                match self.send_parts(content, &mut session, at, progress).await {
                    Ok(()) => return Ok(()),
                    Err(again) => error = again,
                }
            }
            // A registry that forgets interrupted requests may still keep finished parts.
            in_parts = true;
        }
    }

    fn mounted_unasked(&self) -> TransportError {
        TransportError::Protocol {
            url: self.endpoint.base.to_string(),
            reason: "nothing was to be mounted".to_owned(),
        }
    }

    async fn send_whole(
        &self,
        content: &Content,
        session: &Session,
        progress: &Arc<dyn Progress>,
    ) -> Result<(), UploadError> {
        let blob = content.blob();
        let url = completed(&session.location, blob);
        let response = self
            .send_range(Method::PUT, content, &url, 0..blob.size, progress)
            .await?;
        self.http.expect(&url, response, &[201]).await?;
        Ok(())
    }

    /// Sends what lies behind `at` in parts, each acknowledged, and completes the upload.
    async fn send_parts(
        &self,
        content: &Content,
        session: &mut Session,
        mut at: u64,
        progress: &Arc<dyn Progress>,
    ) -> Result<(), UploadError> {
        let blob = content.blob();
        while at < blob.size {
            let end = at
                .saturating_add(content.part_bytes().max(session.min_part))
                .min(blob.size);
            let url = session.location.clone();
            let response = self.send_range(Method::PATCH, content, &url, at..end, progress).await?;
            let response = self.http.expect(&url, response, &[202]).await?;
            session.location = location(&url, &response)?;
            at = match acknowledged_end(response.headers()) {
                Some(end_acknowledged) if end_acknowledged > at && end_acknowledged <= end => end_acknowledged,
                Some(_) => {
                    let reason = "it acknowledges bytes that were not sent".to_owned();
                    return Err(TransportError::Protocol {
                        url: shown(&url),
                        reason,
                    }
                    .into());
                }
                None => end,
            };
        }
        let url = completed(&session.location, blob);
        let finish = |client: &reqwest::Client| client.put(url.clone()).header(CONTENT_LENGTH, 0);
        let send = self
            .http
            .send_streaming(&self.endpoint, &self.repository, Access::Push, &url, finish);
        let waited = self.http.config().stall_timeout * COMMIT_PATIENCE;
        let response = tokio::time::timeout(waited, send).await;
        let response = response.map_err(|_| TransportError::Stalled {
            url: shown(&url),
            waited,
        })??;
        self.http.expect(&url, response, &[201]).await?;
        Ok(())
    }

    /// How many bytes the registry has of an interrupted upload, and where it goes on; `None` when it has forgotten it.
    async fn acknowledged(&self, session: &mut Session, blob: &Descriptor) -> Option<u64> {
        let url = session.location.clone();
        let response = self.request(Method::GET, Access::Push, &url, "*/*").await.ok()?;
        let response = self.http.expect(&url, response, &[204, 202, 200]).await.ok()?;
        let at = acknowledged_end(response.headers()).filter(|&at| at <= blob.size)?;
        if let Ok(location) = location(&url, &response) {
            session.location = location;
        }
        Some(at)
    }

    /// Sends a part of the blob. The head of the answer comes only after the last byte, so that a dead connection is told
    /// from a slow one by whether bytes still leave.
    async fn send_range(
        &self,
        method: Method,
        content: &Content,
        url: &Url,
        range: Range<u64>,
        progress: &Arc<dyn Progress>,
    ) -> Result<Response, UploadError> {
        content.check().await?;
        let len = range.end - range.start;
        let sent = Arc::new(AtomicU64::new(0));
        let build = |client: &reqwest::Client| {
            sent.store(0, Ordering::Relaxed);
            let stream = content.stream(range.clone(), Arc::clone(&sent), Arc::clone(progress));
            let request = client
                .request(method.clone(), url.clone())
                .header(CONTENT_TYPE, "application/octet-stream")
                .header(CONTENT_LENGTH, len);
            let request = if method == Method::PATCH {
                request.header(
                    CONTENT_RANGE,
                    format!("{}-{}", range.start, range.end.saturating_sub(1)),
                )
            } else {
                request
            };
            request.body(reqwest::Body::wrap_stream(stream))
        };
        let waited = self.http.config().stall_timeout;
        let request = self
            .http
            .send_streaming(&self.endpoint, &self.repository, Access::Push, url, build);
        let mut request = std::pin::pin!(request);
        let (mut before, mut idle) = (None, 0);
        loop {
            tokio::select! {
                answer = &mut request => return Ok(answer?),
                () = tokio::time::sleep(waited) => {
                    let now = sent.load(Ordering::Relaxed);
                    idle = if before == Some(now) { idle + 1 } else { 0 };
                    before = Some(now);
                    let patience = if now >= len { COMMIT_PATIENCE } else { 1 };
                    if idle >= patience {
                        return Err(TransportError::Stalled { url: shown(url), waited: waited * patience }.into());
                    }
                }
            }
        }
    }
}

/// Where the registry wants the bytes. It may be another host, which then gets no credentials, but not one without TLS.
fn location(url: &Url, response: &Response) -> Result<Url, TransportError> {
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

/// The URL that completes an upload.
fn completed(location: &Url, blob: &Descriptor) -> Url {
    let mut url = location.clone();
    url.query_pairs_mut().append_pair("digest", &blob.digest.to_string());
    url
}

/// The end of `Range: 0-LAST`, which tells what the registry has.
fn acknowledged_end(headers: &HeaderMap) -> Option<u64> {
    let range = headers.get(RANGE)?.to_str().ok()?;
    let (first, last) = range.strip_prefix("bytes=").unwrap_or(range).split_once('-')?;
    let last: u64 = last.trim().parse().ok()?;
    // An upload without bytes is shown as 0-0 by some; one byte more is never the question.
    (first.trim() == "0" && last > 0).then(|| last.checked_add(1))?
}
