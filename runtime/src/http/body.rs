//! Bodies: [`RequestBody`] counts what a client sends, [`ResponseBody`] hands on what the guest writes and tells a body
//! that ended from one that broke off.

use std::{
    fmt,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Method, StatusCode, header, response::Parts};
use http_body::{Body, Frame, SizeHint};
use tokio::{sync::oneshot, task::AbortHandle};
use wasmtime_wasi_http::{Error as WasiError, WasiBody};

use crate::BoxError;

/// A client's body with a cap. The guest sees an error instead of what is over it.
pub(super) struct RequestBody<B> {
    inner: Pin<Box<B>>,
    left: u64,
    limit: u64,
    /// Told once, when the cap is passed.
    overflow: Option<oneshot::Sender<()>>,
}

impl<B> RequestBody<B> {
    pub(super) fn new(inner: B, limit: u64, overflow: oneshot::Sender<()>) -> Self {
        Self {
            inner: Box::pin(inner),
            left: limit,
            limit,
            overflow: Some(overflow),
        }
    }
}

impl<B> Body for RequestBody<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = WasiError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, WasiError>>> {
        let this = &mut *self;
        if this.overflow.is_none() {
            return Poll::Ready(None);
        }
        this.inner.as_mut().poll_frame(cx).map(|frame| match frame? {
            Ok(frame) => {
                let len = frame.data_ref().map_or(0, |data| data.len() as u64);
                match this.left.checked_sub(len) {
                    Some(left) => {
                        this.left = left;
                        Some(Ok(frame))
                    }
                    None => {
                        if let Some(overflow) = this.overflow.take() {
                            // Nobody listens any more once the response has started.
                            let _ = overflow.send(());
                        }
                        Some(Err(WasiError::HttpRequestBodySize(Some(this.limit))))
                    }
                }
            }
            Err(error) => {
                let error: BoxError = error.into();
                tracing::debug!(%error, "a request body broke off");
                Some(Err(WasiError::ConnectionTerminated))
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// Stops a guest's task when it is dropped, unless told otherwise.
pub(super) struct StopOnDrop(pub(super) Option<AbortHandle>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        if let Some(task) = self.0.take() {
            task.abort();
        }
    }
}

/// A guest's response as it writes it. Dropping it before its end stops the guest: nobody is there to read.
pub struct ResponseBody {
    inner: WasiBody,
    /// Set before the guest's side of the body goes away, when it went away by a fault.
    broken: Arc<AtomicBool>,
    guest: StopOnDrop,
    /// Bytes that the headers promise and that have not come yet.
    promised: Option<u64>,
    /// Dropped with the body: the instance may serve the next request.
    through: Option<oneshot::Sender<()>>,
}

/// A response that broke off: the guest failed, or it gave up its own body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the guest's response broke off")]
pub struct ResponseBodyError;

impl ResponseBody {
    pub(super) fn new(
        inner: WasiBody,
        request: &Method,
        response: &Parts,
        broken: Arc<AtomicBool>,
        guest: StopOnDrop,
        through: oneshot::Sender<()>,
    ) -> Self {
        let length = response
            .headers
            .get(header::CONTENT_LENGTH)
            .and_then(|length| length.to_str().ok()?.parse().ok());
        let promised = if has_no_body(request, response.status) {
            Some(0)
        } else {
            length
        };
        Self {
            inner,
            broken,
            guest,
            promised,
            through: Some(through),
        }
    }

    fn finish(&mut self) {
        self.guest.0 = None;
        self.through = None;
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = ResponseBodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ResponseBodyError>>> {
        let this = &mut *self;
        let Poll::Ready(frame) = Pin::new(&mut this.inner).poll_frame(cx) else {
            return Poll::Pending;
        };
        Poll::Ready(match frame {
            Some(Ok(frame)) => {
                if let (Some(promised), Some(data)) = (&mut this.promised, frame.data_ref()) {
                    *promised = promised.saturating_sub(data.len() as u64);
                }
                Some(Ok(frame))
            }
            Some(Err(error)) => {
                tracing::debug!(%error, "a guest gave up its response body");
                this.finish();
                Some(Err(ResponseBodyError))
            }
            None if this.broken.load(Ordering::Acquire) => Some(Err(ResponseBodyError)),
            None => {
                this.finish();
                None
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// Responses that HTTP sends without a body, whatever the guest wrote. RFC 9110, section 6.4.1.
fn has_no_body(request: &Method, status: StatusCode) -> bool {
    let bodiless = status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED;
    request == Method::HEAD || bodiless || status.is_informational()
}

impl Drop for ResponseBody {
    /// Servers drop a body unread when there is nothing more to send; that is its end, and no reason to stop the guest.
    fn drop(&mut self) {
        if self.promised == Some(0) || self.inner.is_end_stream() {
            self.guest.0 = None;
        }
    }
}

impl fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseBody")
            .field("promised", &self.promised)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use http_body_util::{BodyExt as _, Full};

    use super::*;

    #[tokio::test]
    async fn a_body_at_its_cap_passes_and_one_over_it_does_not() {
        let (tell, mut told) = oneshot::channel();
        let body = RequestBody::new(Full::new(Bytes::from_static(b"12345")), 5, tell);
        assert_eq!(body.collect().await.unwrap().to_bytes(), "12345");
        assert!(told.try_recv().is_err());

        let (tell, mut told) = oneshot::channel();
        let mut body = RequestBody::new(Full::new(Bytes::from_static(b"123456")), 5, tell);
        let error = body.frame().await.unwrap().unwrap_err();
        assert!(matches!(error, WasiError::HttpRequestBodySize(Some(5))));
        assert!(told.try_recv().is_ok());
        assert!(body.frame().await.is_none());
    }

    fn parts(status: u16, length: Option<u64>) -> Parts {
        let mut response = http::Response::builder().status(status);
        if let Some(length) = length {
            response = response.header(header::CONTENT_LENGTH, length);
        }
        response.body(()).unwrap().into_parts().0
    }

    fn body(text: &'static str, request: &Method, response: &Parts, broken: bool, guest: StopOnDrop) -> ResponseBody {
        let inner = Full::new(Bytes::from_static(text.as_bytes()))
            .map_err(WasiError::from)
            .boxed_unsync();
        let broken = Arc::new(AtomicBool::new(broken));
        ResponseBody::new(inner, request, response, broken, guest, oneshot::channel().0)
    }

    fn response(broken: bool, text: &'static str) -> ResponseBody {
        body(text, &Method::GET, &parts(200, None), broken, StopOnDrop(None))
    }

    /// Whether dropping a body after `reads` frames stops the guest.
    async fn stops(text: &'static str, request: Method, response: Parts, reads: usize) -> bool {
        let mut guests = tokio::task::JoinSet::new();
        let guest = StopOnDrop(Some(guests.spawn(async {
            tokio::task::yield_now().await;
        })));
        let mut body = body(text, &request, &response, false, guest);
        for _ in 0..reads {
            body.frame().await.unwrap().unwrap();
        }
        drop(body);
        guests.join_next().await.unwrap().is_err()
    }

    #[tokio::test]
    async fn a_body_that_nobody_wants_stops_the_guest_and_one_that_is_through_does_not() {
        assert!(stops("text", Method::GET, parts(200, None), 0).await);
        assert!(stops("text", Method::GET, parts(200, Some(8)), 0).await);
        assert!(!stops("text", Method::GET, parts(200, Some(4)), 1).await);
        assert!(!stops("text", Method::HEAD, parts(200, Some(4)), 0).await);
        assert!(!stops("text", Method::GET, parts(304, Some(4)), 0).await);
        assert!(!stops("", Method::GET, parts(204, None), 0).await);
        assert!(!stops("", Method::GET, parts(200, None), 0).await);
    }

    #[tokio::test]
    async fn an_end_by_a_fault_is_an_error_and_a_plain_end_is_not() {
        assert_eq!(response(false, "ok").collect().await.unwrap().to_bytes(), "ok");
        let mut broken = response(true, "ok");
        assert!(broken.frame().await.unwrap().is_ok());
        assert_eq!(broken.frame().await.unwrap().unwrap_err(), ResponseBodyError);
    }
}
