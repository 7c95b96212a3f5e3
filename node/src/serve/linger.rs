//! Request bodies that nobody read to their end. A connection that is closed while the client still sends is reset, and the
//! client may never see its answer (413, say); so what is left is read and thrown away for a while.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Buf as _, Bytes};
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::{runtime::Handle, task::JoinSet};

/// Longest time that a rest is read; a client on a slow line needs no more to notice its answer.
const MAX_TIME: Duration = Duration::from_secs(2);
/// Most bytes that are thrown away; a client that sends more is not listening.
const MAX_BYTES: usize = 16 << 20;

/// Owns the readers of rests; they end with it.
#[derive(Debug, Clone, Default)]
pub(super) struct Lingering(Arc<Mutex<JoinSet<()>>>);

impl Lingering {
    /// `body`, whose rest is read when it is dropped before its end.
    pub(super) fn watch(&self, body: Incoming) -> LingeringBody {
        LingeringBody {
            body: Some(body),
            readers: self.clone(),
        }
    }

    fn read_on(&self, body: Incoming) {
        // Without a runtime the process is going down, and so are its connections.
        let Ok(runtime) = Handle::try_current() else { return };
        let mut readers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while readers.try_join_next().is_some() {}
        readers.spawn_on(
            async move {
                drop(tokio::time::timeout(MAX_TIME, discard(body)).await);
            },
            &runtime,
        );
    }
}

/// A request's body.
pub(super) struct LingeringBody {
    body: Option<Incoming>,
    readers: Lingering,
}

impl Body for LingeringBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match &mut self.body {
            Some(body) => Pin::new(body).poll_frame(context),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(SizeHint::default, Body::size_hint)
    }
}

impl Drop for LingeringBody {
    fn drop(&mut self) {
        if let Some(body) = self.body.take().filter(|body| !body.is_end_stream()) {
            self.readers.read_on(body);
        }
    }
}

async fn discard(mut body: Incoming) {
    let mut left = MAX_BYTES;
    while let Some(Ok(frame)) = body.frame().await {
        let read = frame.into_data().map_or(0, |data| data.remaining());
        match left.checked_sub(read) {
            Some(rest) => left = rest,
            None => return,
        }
    }
}
