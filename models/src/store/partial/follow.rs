//! What runs beside the writers of a partial blob: the hash that follows its whole part, and the way to disk.

use std::os::unix::fs::FileExt as _;
use std::sync::PoisonError;

use super::{SYNC_EVERY_BYTES, Writer};
use crate::digest::{Digest, Hasher};
use crate::store::StoreError;

/// Bytes read back at a time: still in the cache of the core that hashes.
const READ_BYTES: usize = 256 << 10;

impl Writer {
    /// Hashes the blob as it grows, every byte once, and returns the digest of the whole; `None` when the fetching ended
    /// before that. Blocks.
    pub(crate) fn follow(&self) -> Result<Option<Digest>, StoreError> {
        let shared = &*self.0;
        let mut hasher = Hasher::default();
        let mut buffer = vec![0; READ_BYTES];
        let mut done = 0;
        while done < shared.blob.size {
            let Some(known) = self.wait_beyond(done) else {
                return Ok(None);
            };
            while done < known {
                let want = usize::try_from(known - done).unwrap_or(usize::MAX).min(READ_BYTES);
                let part = buffer.get_mut(..want).unwrap_or_default();
                let read = shared.file.file().read_exact_at(part, done);
                read.map_err(StoreError::io("read blob back"))?;
                hasher.update(part);
                done += u64::try_from(want).unwrap_or_default();
            }
        }
        Ok(Some(hasher.finish()))
    }

    /// The end of the whole part, once it lies beyond `done`; `None` when nothing more comes.
    fn wait_beyond(&self, done: u64) -> Option<u64> {
        let shared = &*self.0;
        let mut state = shared.state();
        loop {
            if state.stopped {
                return None;
            }
            let known = state.record.written.prefix();
            if known > done {
                return Some(known);
            }
            state = shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Brings data, and then the journal that speaks of it, to disk every few mebibytes, until all is written or the
    /// fetching ended. Blocks.
    pub(crate) fn keep_synced(&self) {
        let shared = &*self.0;
        let mut state = shared.state();
        loop {
            if state.stopped || state.record.written.prefix() >= shared.blob.size {
                return;
            }
            if state.unsynced < SYNC_EVERY_BYTES {
                state = shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            state.unsynced = 0;
            let known = state.record.written.clone();
            drop(state);
            let synced = shared.file.sync_data();
            state = shared.state();
            match synced {
                Ok(()) => {
                    state.record.synced = known;
                    state.journalize(true);
                }
                Err(error) => tracing::warn!(%error, "cannot bring a partial blob to disk"),
            }
        }
    }
}
