//! Where the bytes of an upload come from: a file of the store, or another registry. Read in pieces, never whole.

use std::io::Seek as _;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{Bytes, BytesMut};
use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};
use tokio::io::AsyncReadExt as _;

use super::progress::{Event, Progress};
use super::relay;
use super::route::Route;
use super::upload::UploadError;
use crate::descriptor::Descriptor;
use crate::store::Store;

/// Bytes read and sent at a time.
const PIECE_BYTES: u64 = 256 << 10;
/// Bytes of a part, after one request for the whole has failed: what the next failure costs at most.
const PART_BYTES: u64 = 16 << 20;

/// A blob and where it lies.
#[derive(Debug, Clone)]
pub(super) enum Content {
    /// In the store.
    Stored(Store, Descriptor),
    /// At another registry; its bytes are hashed as they pass.
    Remote(Route, Descriptor),
}

impl Content {
    pub(super) fn blob(&self) -> &Descriptor {
        match self {
            Self::Stored(_, blob) | Self::Remote(_, blob) => blob,
        }
    }

    /// Bytes of a part. What is hashed as it passes is read from its start each time, so that it has one part only.
    pub(super) fn part_bytes(&self) -> u64 {
        match self {
            Self::Stored(..) => PART_BYTES,
            Self::Remote(..) => u64::MAX,
        }
    }

    /// Fails early when the blob is not there.
    pub(super) async fn check(&self) -> Result<(), UploadError> {
        if let Self::Stored(store, blob) = self {
            store.open_sized(blob)?;
        }
        Ok(())
    }

    /// The bytes of `range`, counted in `sent`.
    pub(super) fn stream(
        &self,
        range: Range<u64>,
        sent: Arc<AtomicU64>,
        progress: Arc<dyn Progress>,
    ) -> BoxStream<'static, std::io::Result<Bytes>> {
        let blob = self.blob().clone();
        let pieces = match self {
            Self::Stored(store, blob) => stored(store.clone(), blob.clone(), range),
            Self::Remote(route, blob) => relay::stream(route.clone(), blob.clone(), range),
        };
        let count = move |piece: Bytes| {
            let bytes = u64::try_from(piece.len()).unwrap_or_default();
            sent.fetch_add(bytes, Ordering::Relaxed);
            progress.event(&Event::Progress { blob: &blob, bytes });
            piece
        };
        pieces.map_ok(count).boxed()
    }
}

fn stored(store: Store, blob: Descriptor, range: Range<u64>) -> BoxStream<'static, std::io::Result<Bytes>> {
    let open = move |at: u64| {
        let (store, blob) = (store.clone(), blob.clone());
        async move {
            let opened = tokio::task::spawn_blocking(move || {
                let (mut file, _) = store.open_sized(&blob).map_err(std::io::Error::other)?;
                file.seek(std::io::SeekFrom::Start(at))?;
                Ok::<_, std::io::Error>(file)
            });
            let file = opened.await.map_err(std::io::Error::other)??;
            Ok::<_, std::io::Error>(tokio::fs::File::from_std(file.into_parts().0))
        }
    };
    let state = (open, range, None);
    let pieces = futures::stream::try_unfold(state, |(open, mut range, file)| async move {
        if range.is_empty() {
            return Ok(None);
        }
        let mut file = match file {
            Some(file) => file,
            None => open(range.start).await?,
        };
        let want = usize::try_from(PIECE_BYTES.min(range.end - range.start)).unwrap_or_default();
        let mut piece = BytesMut::with_capacity(want);
        (&mut file)
            .take(u64::try_from(want).unwrap_or_default())
            .read_buf(&mut piece)
            .await?;
        if piece.is_empty() {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        range.start += u64::try_from(piece.len()).unwrap_or_default();
        Ok(Some((piece.freeze(), (open, range, Some(file)))))
    });
    pieces.boxed()
}
