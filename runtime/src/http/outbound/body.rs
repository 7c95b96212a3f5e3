//! [`Bounded`]: a body that is only so long and does not pause for longer than allowed.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep};
use wasmtime_wasi_http::Error;

/// Which direction a body goes, which decides the errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Request,
    Response,
}

/// A body under limits.
pub(super) struct Bounded<B> {
    inner: Pin<Box<B>>,
    direction: Direction,
    left: u64,
    limit: u64,
    /// Longest wait for the next frame, and the clock of the present one.
    pause: Option<(Duration, Pin<Box<Sleep>>)>,
}

impl<B> Bounded<B> {
    pub(super) fn new(inner: B, direction: Direction, limit: u64, pause: Option<Duration>) -> Self {
        Self {
            inner: Box::pin(inner),
            direction,
            left: limit,
            limit,
            pause: pause.map(|pause| (pause, Box::pin(sleep(pause)))),
        }
    }

    fn take(&mut self, frame: Frame<Bytes>) -> Result<Frame<Bytes>, Error> {
        let len = frame.data_ref().map_or(0, |data| data.len() as u64);
        self.left = self.left.checked_sub(len).ok_or(match self.direction {
            Direction::Request => Error::HttpRequestBodySize(Some(self.limit)),
            Direction::Response => Error::HttpResponseBodySize(Some(self.limit)),
        })?;
        Ok(frame)
    }
}

impl<B> Body for Bounded<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Error>,
{
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        if let Poll::Ready(frame) = this.inner.as_mut().poll_frame(cx) {
            if let Some((pause, clock)) = &mut this.pause {
                clock.as_mut().reset(Instant::now() + *pause);
            }
            return Poll::Ready(frame.map(|frame| this.take(frame.map_err(Into::into)?)));
        }
        match &mut this.pause {
            Some((_, clock)) => clock
                .as_mut()
                .poll(cx)
                .map(|()| Some(Err(Error::ConnectionReadTimeout))),
            None => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
