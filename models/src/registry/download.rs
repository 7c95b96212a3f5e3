//! Blobs from a registry into the store: streamed in constant memory, hashed once, written by a thread of its own so that
//! network and disk overlap.

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::auth::Access;
use super::http::{Body, shown};
use super::progress::Progress;
use super::remote::Remote;
use super::retry::{Transient, retrying};
use super::transport::TransportError;
use crate::descriptor::Descriptor;
use crate::store::{Ingest, Store, StoreError};

/// Pieces between network and disk, each at most what a socket read gives.
const QUEUE_PIECES: usize = 16;

/// Held by every writer until what it wrote is either committed or removed. The owner of the transfers waits for the last
/// one, so that a failed pull has nothing left to clean up.
pub(super) type Alive = mpsc::Sender<()>;

/// A blob being written, and the sign that it is. Dropped in this order.
struct Writing {
    ingest: Ingest,
    alive: Alive,
}

/// Which side of a download failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum DownloadError {
    #[error(transparent)]
    Transport(#[from] TransportError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Transient for DownloadError {
    fn transport(&self) -> Option<&TransportError> {
        match self {
            Self::Transport(error) => Some(error),
            Self::Store(_) => None,
        }
    }
}

impl Remote {
    /// Brings `blob` into `store`, trying again from its start after failures that may pass.
    ///
    /// # Cancel safety
    /// Dropping the future stops the transfer; the writer then removes what it has written.
    pub(super) async fn download(
        &self,
        store: &Store,
        blob: &Descriptor,
        progress: &dyn Progress,
        alive: &Alive,
    ) -> Result<(), DownloadError> {
        retrying(self.http.config().retry, || {
            self.download_once(store, blob, progress, alive)
        })
        .await?;
        progress.end(blob, false);
        Ok(())
    }

    async fn download_once(
        &self,
        store: &Store,
        blob: &Descriptor,
        progress: &dyn Progress,
        alive: &Alive,
    ) -> Result<(), DownloadError> {
        progress.begin(blob);
        let url = self.url(&format!("blobs/{}", blob.digest))?;
        let response = self.request(reqwest::Method::GET, Access::Pull, &url, "*/*").await?;
        let response = self.http.expect(&url, response, &[200]).await?;
        let body = Body::new(&self.http, &url, response);
        if body.announced().is_some_and(|announced| announced > blob.size) {
            return Err(TransportError::TooLong {
                url: shown(&url),
                limit: blob.size,
            }
            .into());
        }
        let (pieces, queue) = mpsc::channel(QUEUE_PIECES);
        let writer = spawn_writer(store.clone(), blob.size, queue, alive.clone());
        let received = receive(body, &pieces, blob, progress).await;
        // Without its queue the writer ends; only then is it certain that nothing of a failed attempt stays.
        drop(pieces);
        let written = writer.await.map_err(writer_died)?;
        let received = received?;
        let Writing { ingest, alive } = written?;
        if received < blob.size {
            return Err(TransportError::TooShort {
                url: shown(&url),
                expected: blob.size,
                received,
            }
            .into());
        }
        let expected = blob.clone();
        let finish = move || {
            let finished = ingest.finish(&expected);
            drop(alive);
            finished
        };
        tokio::task::spawn_blocking(finish).await.map_err(writer_died)??;
        Ok(())
    }
}

/// Hands the body on, piece by piece, and counts. Stops early when the writer has.
async fn receive(
    mut body: Body<'_>,
    pieces: &mpsc::Sender<Bytes>,
    blob: &Descriptor,
    progress: &dyn Progress,
) -> Result<u64, TransportError> {
    let mut received = 0_u64;
    while let Some(piece) = body.next().await? {
        let len = u64::try_from(piece.len()).unwrap_or(u64::MAX);
        received = received.saturating_add(len);
        if received > blob.size {
            return Err(body.too_long(blob.size));
        }
        progress.advance(blob, len);
        if pieces.send(piece).await.is_err() {
            break;
        }
    }
    Ok(received)
}

fn spawn_writer(
    store: Store,
    size: u64,
    mut queue: mpsc::Receiver<Bytes>,
    alive: Alive,
) -> JoinHandle<Result<Writing, StoreError>> {
    tokio::task::spawn_blocking(move || {
        let mut writing = Writing {
            ingest: store.ingest(size)?,
            alive,
        };
        while let Some(piece) = queue.blocking_recv() {
            writing.ingest.write(&piece)?;
        }
        Ok(writing)
    })
}

fn writer_died(error: tokio::task::JoinError) -> StoreError {
    StoreError::io("finish blob")(std::io::Error::other(error))
}
