//! Blobs from a registry into the store: parallel ranges, written where they belong, hashed once behind the part that is
//! whole, resumable at any moment, and visible only when the digest of the whole is right.

mod fill;
mod sink;
mod span;

use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};

use self::fill::Fill;
use super::progress::{Event, Means, Progress};
use super::route::Route;
use super::shortcut::{Found, ShortcutError, Way};
use super::transport::TransportError;
use crate::descriptor::Descriptor;
use crate::store::{Claim, Partial, Store, StoreError, chain};
use crate::update::{MIN_BYTES, is_worth};

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
    /// One permit: making a blob of older ones takes memory and all cores.
    pub(super) rebuilds: Semaphore,
    pub(super) alive: Alive,
}

/// How a blob came.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Arrival {
    /// Somebody else has fetched it meanwhile.
    pub(super) is_reused: bool,
    /// Bytes fetched for it.
    pub(super) fetched_bytes: u64,
    /// Bytes of it that need not be fetched, less those fetched to know it.
    pub(super) saved_bytes: u64,
}

impl Downloads<'_> {
    /// Brings `blob` into the store, by `way` if there is one that saves bytes.
    ///
    /// # Cancel safety
    /// Dropping the future ends the transfer; what has come so far is kept for the next attempt.
    pub(super) async fn fetch(
        &self,
        route: &Route,
        blob: &Descriptor,
        way: Option<&Way>,
    ) -> Result<Arrival, DownloadError> {
        let Some(partial) = self.claim(blob).await? else {
            self.progress.event(&Event::Done { blob, reused: true });
            return Ok(Arrival {
                is_reused: true,
                ..Arrival::default()
            });
        };
        let left = blob.size.saturating_sub(partial.resumed());
        if let Some(delta) = way.and_then(|way| way.delta.as_ref())
            && is_worth(delta.blob.size, left)
        {
            match self.rebuild(route, blob, delta).await {
                Ok(fetched_bytes) => {
                    partial.discard();
                    let saved_bytes = left.saturating_sub(fetched_bytes);
                    self.report_saved(blob, saved_bytes, Means::Delta);
                    self.progress.event(&Event::Done { blob, reused: false });
                    return Ok(Arrival {
                        is_reused: false,
                        fetched_bytes,
                        saved_bytes,
                    });
                }
                Err(error) => self.report_fallback(blob, Means::Delta, &error),
            }
        }
        let mut found = Found::default();
        if let Some(chunks) = way.and_then(|way| way.chunks.as_ref())
            && left >= MIN_BYTES
        {
            match self.reuse(route, blob, &partial, chunks).await {
                Ok(reused) => found = reused,
                Err(error) => self.report_fallback(blob, Means::Chunks, &error),
            }
        }
        let (partial, fetched) = self.complete(route, blob, partial).await?;
        if let Some(partial) = partial {
            let digest = blob.digest;
            let finished = tokio::task::spawn_blocking(move || partial.finish(&digest));
            finished.await.map_err(died)??;
        }
        let fetched_bytes = fetched.saturating_add(found.list_bytes);
        let saved_bytes = left.saturating_sub(fetched_bytes);
        if found.bytes > 0 {
            self.report_saved(blob, saved_bytes, Means::Chunks);
        }
        self.progress.event(&Event::Done { blob, reused: false });
        Ok(Arrival {
            is_reused: false,
            fetched_bytes,
            saved_bytes,
        })
    }

    /// Fetches what `partial` has not, until all of it has the right digest, and tells how many bytes that took. When the
    /// digest is wrong, bytes of an earlier process, of older blobs or of a mirror get a second chance; the registry's own do
    /// not. `None` when somebody else has put the blob into the store between the two.
    pub(super) async fn complete(
        &self,
        route: &Route,
        blob: &Descriptor,
        partial: Partial,
    ) -> Result<(Option<Partial>, u64), DownloadError> {
        let mut route = route.for_blob();
        let (mut partial, mut is_first, mut fetched) = (partial, true, 0_u64);
        loop {
            let missing = partial.missing_bytes();
            let at = blob.size.saturating_sub(missing);
            self.progress.event(&match at {
                0 => Event::Started { blob },
                at => Event::Resumed { blob, at },
            });
            let fill = Fill::new(self, &route, blob, &partial);
            let found = fill.run().await?;
            fetched = fetched.saturating_add(missing);
            if found == blob.digest {
                return Ok((Some(partial), fetched));
            }
            let error = StoreError::DigestMismatch {
                digest: blob.digest,
                found,
                path: None,
            };
            let may_retry = is_first && (at > 0 || fill.used_mirror());
            partial.discard();
            if !may_retry {
                return Err(error.into());
            }
            tracing::warn!(%error, "fetched bytes are thrown away");
            self.progress.event(&Event::Discarded { blob });
            is_first = false;
            // The old file's lock goes with its last writer.
            drop((fill, partial));
            route = route.without_mirrors();
            match self.claim(blob).await? {
                Some(again) => partial = again,
                None => return Ok((None, fetched)),
            }
        }
    }

    fn report_saved(&self, blob: &Descriptor, bytes: u64, by: Means) {
        self.progress.event(&Event::Saved { blob, bytes, by });
    }

    fn report_fallback(&self, blob: &Descriptor, by: Means, error: &ShortcutError) {
        let reason = chain(error);
        tracing::debug!(blob = %blob.digest, ?by, reason, "an update did not work out");
        self.progress.event(&Event::Fallback {
            blob,
            by,
            reason: &reason,
        });
    }

    /// Becomes the one who fetches `blob`; `None` when it is there. Waits while another process fetches it.
    pub(super) async fn claim(&self, blob: &Descriptor) -> Result<Option<Partial>, DownloadError> {
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

pub(super) fn died(error: tokio::task::JoinError) -> StoreError {
    StoreError::io("finish blob")(std::io::Error::other(error))
}
