//! Blobs from a registry into the store: parallel ranges, written where they belong, hashed once behind the part that is
//! whole, resumable at any moment, and visible only when the digest of the whole is right.

mod fill;
mod sink;
mod span;

use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};

use self::fill::Fill;
use super::progress::{Event, Progress};
use super::route::Route;
use super::transport::TransportError;
use crate::descriptor::Descriptor;
use crate::store::{Claim, Partial, Store, StoreError};

/// Pause between looks at a blob that another process fetches.
const BUSY_POLL: Duration = Duration::from_millis(100);

/// Held by every writer until what it wrote is either kept in order or removed. The owner of the transfers waits for the
/// last one, so that a failed pull has nothing left to clean up.
pub(super) type Alive = mpsc::Sender<()>;

/// Which side of a download failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum DownloadError {
    #[error(transparent)]
    Transport(#[from] TransportError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What all downloads of a pull share.
pub(super) struct Downloads<'a> {
    pub(super) store: &'a Store,
    pub(super) progress: &'a dyn Progress,
    /// As many permits as connections are allowed.
    pub(super) streams: Semaphore,
    pub(super) alive: Alive,
}

impl Downloads<'_> {
    /// Brings `blob` into the store; returns whether somebody else did meanwhile.
    ///
    /// # Cancel safety
    /// Dropping the future ends the transfer; what has come so far is kept for the next attempt.
    pub(super) async fn fetch(&self, route: &Route, blob: &Descriptor) -> Result<bool, DownloadError> {
        let mut route = route.clone();
        let mut is_first = true;
        loop {
            let Some(partial) = self.claim(blob).await? else {
                self.progress.event(&Event::Done { blob, reused: true });
                return Ok(true);
            };
            let resumed = partial.resumed();
            self.progress.event(&match resumed {
                0 => Event::Started { blob },
                at => Event::Resumed { blob, at },
            });
            let fill = Fill::new(self, &route, blob, &partial);
            let found = fill.run().await?;
            // Bytes of an earlier process or of a mirror get a second chance; the registry's own do not.
            let may_retry = is_first && (resumed > 0 || fill.used_mirror());
            let finished = tokio::task::spawn_blocking(move || partial.finish(&found));
            match finished.await.map_err(died)? {
                Ok(()) => {
                    self.progress.event(&Event::Done { blob, reused: false });
                    return Ok(false);
                }
                Err(error @ StoreError::DigestMismatch { .. }) if may_retry => {
                    tracing::warn!(%error, "fetched bytes are thrown away");
                    self.progress.event(&Event::Discarded { blob });
                    is_first = false;
                    route = route.without_mirrors();
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Becomes the one who fetches `blob`; `None` when it is there. Waits while another process fetches it.
    async fn claim(&self, blob: &Descriptor) -> Result<Option<Partial>, DownloadError> {
        let mut has_waited = false;
        loop {
            let (store, wanted, alive) = (self.store.clone(), blob.clone(), self.alive.clone());
            let claim = tokio::task::spawn_blocking(move || store.claim(&wanted, Box::new(alive)));
            match claim.await.map_err(died)?? {
                Claim::Mine(partial) => return Ok(Some(partial)),
                Claim::Present => return Ok(None),
                Claim::Busy => {}
            }
            if !has_waited {
                self.progress.event(&Event::Waiting { blob });
                has_waited = true;
            }
            tokio::time::sleep(BUSY_POLL).await;
        }
    }
}

fn died(error: tokio::task::JoinError) -> StoreError {
    StoreError::io("finish blob")(std::io::Error::other(error))
}
