//! Making a blob of a delta and its base, beside the partial blob that a plain download would go on with.

use std::io::{self, BufReader, Write};
use std::num::NonZeroUsize;

use dunlin_delta::{DecodeOptions, Delta, FileAt, Identity};

use super::{DeltaWay, ShortcutError, Stop, StopOnDrop};
use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::registry::download::{Alive, DownloadError, Downloads, died};
use crate::registry::progress::{Event, Means};
use crate::registry::route::Route;
use crate::store::{Ingest, Partial, Store, StoreError};

/// Threads that apply one delta: what its memory is bounded for.
const THREADS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1);
/// Bytes of a delta that are read at a time.
const READ_BYTES: usize = 256 << 10;

impl From<DownloadError> for ShortcutError {
    fn from(error: DownloadError) -> Self {
        match error {
            DownloadError::Transport(error) => error.into(),
            DownloadError::Store(error) => error.into(),
        }
    }
}

impl Downloads<'_> {
    /// Puts `blob` into the store by way of a delta; returns the bytes fetched for it.
    ///
    /// # Cancel safety
    /// Dropping the future ends the work within a few frames; the delta, as far as it has come, is kept for the next attempt.
    pub(in crate::registry) async fn rebuild(
        &self,
        route: &Route,
        blob: &Descriptor,
        way: &DeltaWay,
    ) -> Result<u64, ShortcutError> {
        let (partial, fetched_bytes) = match self.claim(&way.blob).await? {
            // The store of who made it has it.
            None => (None, 0),
            Some(partial) => self.complete(route, &way.blob, partial).await?,
        };
        if let Some(partial) = &partial {
            partial.keep();
        }
        self.progress.event(&Event::Done {
            blob: &way.blob,
            reused: partial.is_none(),
        });
        let _permit = self.rebuilds.acquire().await;
        self.progress.event(&Event::Rebuilding { blob, by: Means::Delta });
        let stop = Stop::default();
        let waiting = StopOnDrop(stop.clone());
        let work = Work {
            store: self.store.clone(),
            blob: blob.clone(),
            way: way.clone(),
            stop,
            _alive: self.alive.clone(),
        };
        let applied = tokio::task::spawn_blocking(move || {
            let outcome = work.apply(partial.as_ref());
            // A delta that was applied has served, and one that is wrong must not be tried again.
            if let Some(partial) = partial.filter(|_| !work.stop.is_asked()) {
                partial.discard();
            }
            outcome
        });
        applied.await.map_err(died)??;
        drop(waiting);
        Ok(fetched_bytes)
    }
}

/// What the thread needs that applies a delta.
struct Work {
    store: Store,
    blob: Descriptor,
    way: DeltaWay,
    stop: Stop,
    _alive: Alive,
}

impl Work {
    fn apply(&self, partial: Option<&Partial>) -> Result<(), ShortcutError> {
        let file = match partial {
            Some(partial) => partial.open()?,
            None => self.store.open_sized(&self.way.blob)?.0,
        };
        let delta = Delta::open(BufReader::with_capacity(READ_BYTES, file))?;
        let header = delta.header();
        let is = |identity: &Identity, blob: &Descriptor| {
            identity.size == blob.size && Digest::from(identity.sha256) == blob.digest
        };
        if !is(&header.new, &self.blob) || !is(&header.base, &self.way.base) {
            return Err(ShortcutError::Other);
        }
        let (base, _) = self.store.open_sized(&self.way.base)?;
        let base = FileAt::new(base).map_err(ShortcutError::Read)?;
        let mut feed = Feed {
            ingest: self.store.ingest(self.blob.size)?,
            stop: &self.stop,
            fault: None,
        };
        let options = DecodeOptions {
            max_new_size: self.blob.size,
            threads: THREADS,
        };
        match delta.apply(&base, &mut feed, &options) {
            Ok(_) => Ok(feed.ingest.finish(&self.blob)?),
            Err(error) => Err(feed
                .fault
                .take()
                .map_or(ShortcutError::Delta(error), ShortcutError::Store)),
        }
    }
}

/// The way of what a delta makes into the store, which hashes it once more and by itself.
struct Feed<'a> {
    ingest: Ingest,
    stop: &'a Stop,
    /// Why the store did not take it, which `io::Error` would hide.
    fault: Option<StoreError>,
}

impl Write for Feed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stop.check()?;
        match self.ingest.write(bytes) {
            Ok(()) => Ok(bytes.len()),
            Err(fault) => {
                self.fault = Some(fault);
                Err(io::Error::other("the store does not take it"))
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
