//! [`FileBody`]: part of a file as the body of a response, one piece of it in memory at a time.

use std::{
    error::Error,
    future::Future as _,
    io,
    ops::Range,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use fs_err::os::unix::fs::FileExt as _;
use hyper::body::{Body, Frame, SizeHint};
use tokio::{sync::OwnedSemaphorePermit, task::JoinHandle};

/// Bytes read at a time.
const PIECE_BYTES: u64 = 256 << 10;

/// The bytes of a range of a file.
pub(super) struct FileBody {
    file: Arc<fs_err::File>,
    rest: Range<u64>,
    reading: Option<JoinHandle<io::Result<Bytes>>>,
    _slot: Option<OwnedSemaphorePermit>,
}

impl FileBody {
    /// `slot` is held until the body is dropped.
    pub(super) fn new(file: fs_err::File, range: Range<u64>, slot: Option<OwnedSemaphorePermit>) -> Self {
        Self {
            file: Arc::new(file),
            rest: range,
            reading: None,
            _slot: slot,
        }
    }
}

fn read(file: &fs_err::File, at: u64, len: u64) -> io::Result<Bytes> {
    let len = usize::try_from(len).map_err(io::Error::other)?;
    let mut piece = vec![0; len];
    file.read_exact_at(&mut piece, at)?;
    Ok(Bytes::from(piece))
}

impl Body for FileBody {
    type Data = Bytes;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = &mut *self;
        if this.rest.is_empty() {
            return Poll::Ready(None);
        }
        let len = PIECE_BYTES.min(this.rest.end - this.rest.start);
        let reading = this.reading.get_or_insert_with(|| {
            let (file, at) = (Arc::clone(&this.file), this.rest.start);
            tokio::task::spawn_blocking(move || read(&file, at, len))
        });
        let piece = ready!(Pin::new(reading).poll(context));
        this.reading = None;
        let piece = piece.map_err(io::Error::other).and_then(|piece| piece);
        Poll::Ready(Some(match piece {
            Ok(piece) => {
                this.rest.start += len;
                Ok(Frame::data(piece))
            }
            Err(error) => {
                // Nothing after a gap: the connection ends, and the client sees that bytes are missing.
                this.rest.start = this.rest.end;
                Err(error.into())
            }
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.end - self.rest.start)
    }
}
