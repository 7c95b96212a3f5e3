//! Blobs that arrive in parts: written out of order, hashed once behind the part that is whole from the start, and kept
//! over the death of the process by a journal. One process at a time fetches a blob; a lock on the file says which.

mod follow;
mod journal;

use std::any::Any;
use std::ops::Range;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use fs_err::os::unix::fs::OpenOptionsExt as _;

use self::journal::{Journal, Record};
use super::extents::Extents;
use super::ingest::BLOB_MODE;
use super::{Store, StoreError};
use crate::descriptor::Descriptor;
use crate::digest::Digest;

/// What names of partial blobs in `ingest/` begin with.
pub(super) const PREFIX: &str = "part-";
/// How names of their journals end.
pub(super) const JOURNAL_SUFFIX: &str = ".journal";
/// Bytes after which the journal is written, without waiting for the disk: what a kill costs, beside what is in flight.
const JOURNAL_EVERY_BYTES: u64 = 2 << 20;
/// Bytes after which data and journal are brought to disk, in the background: what a power cut costs.
const SYNC_EVERY_BYTES: u64 = 8 << 20;
/// Less than this is not worth keeping.
const KEEP_FLOOR_BYTES: u64 = 1 << 20;

/// Who may fetch a blob.
#[derive(Debug)]
pub(crate) enum Claim {
    /// The caller.
    Mine(Partial),
    /// Somebody else is fetching it.
    Busy,
    /// Nobody: it is there.
    Present,
}

/// A blob that this process fetches. Dropped, it stays for the next attempt, unless hardly anything is there.
#[derive(Debug)]
pub(crate) struct Partial {
    shared: Arc<Shared>,
    resumed: u64,
}

/// Writes parts of the blob; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Writer(Arc<Shared>);

struct Shared {
    store: Store,
    blob: Descriptor,
    file: fs_err::File,
    path: PathBuf,
    state: Mutex<State>,
    changed: Condvar,
    /// Dropped after everything else: the sign that nothing is being written any more.
    _alive: Box<dyn Any + Send + Sync>,
}

struct State {
    record: Record,
    /// What is written or being written. No byte is written twice, since it may have been hashed.
    claimed: Extents,
    unjournaled: u64,
    unsynced: u64,
    stopped: bool,
    /// Moved into place or removed: nothing is to be kept.
    settled: bool,
    journal: Journal,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Partial({})", self.path.display())
    }
}

impl Store {
    /// Tries to become the one who fetches `blob`. `alive` is dropped when the last write has ended.
    pub(crate) fn claim(&self, blob: &Descriptor, alive: Box<dyn Any + Send + Sync>) -> Result<Claim, StoreError> {
        self.check_writable()?;
        if self.blob_size(&blob.digest) == Some(blob.size) {
            return Ok(Claim::Present);
        }
        let path = self.ingest_path().join(format!("{PREFIX}{}", blob.digest.hex()));
        let file = fs_err::OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW)
            .open(&path)
            .map_err(StoreError::io("create ingest file"))?;
        match file.file().try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => return Ok(Claim::Busy),
            Err(std::fs::TryLockError::Error(source)) => return Err(StoreError::io("lock ingest file")(source)),
        }
        let metadata = file.metadata().map_err(StoreError::io("inspect ingest file"))?;
        // Who held the lock before may have moved the file into place, or removed it: then the name is free again.
        if fs_err::symlink_metadata(&path).map(|named| named.ino()).ok() != Some(metadata.ino()) {
            return Ok(Claim::Busy);
        }
        if self.blob_size(&blob.digest) == Some(blob.size) {
            // Left by a process that died between the two; a leftover that stays is swept later.
            let _ = fs_err::remove_file(&path);
            return Ok(Claim::Present);
        }
        let journal = Journal::new(path.with_extension(JOURNAL_SUFFIX.trim_start_matches('.')));
        let record = known(&journal, blob.size, metadata.len());
        if let Err(error) = self.check_space(blob.size, metadata.blocks().saturating_mul(512)) {
            if metadata.len() == 0 {
                // Nothing to go on from; a leftover that stays is swept later.
                let _ = fs_err::remove_file(&path);
            }
            return Err(error);
        }
        let resumed = record.written.total();
        let shared = Shared {
            store: self.clone(),
            blob: blob.clone(),
            file,
            path,
            changed: Condvar::new(),
            state: Mutex::new(State {
                claimed: record.written.clone(),
                record,
                unjournaled: 0,
                unsynced: 0,
                stopped: false,
                settled: false,
                journal,
            }),
            _alive: alive,
        };
        Ok(Claim::Mine(Partial {
            shared: Arc::new(shared),
            resumed,
        }))
    }
}

/// What the journal says, as far as the file can have it.
fn known(journal: &Journal, size: u64, len: u64) -> Record {
    let mut record = journal.load(size);
    let within = |extents: &Extents| Extents::of(extents.iter().map(|range| range.start.min(len)..range.end.min(len)));
    record.written = within(&record.written);
    record.synced = within(&record.synced);
    record.size = size;
    record
}

impl Partial {
    /// Bytes that were there before.
    pub(crate) fn resumed(&self) -> u64 {
        self.resumed
    }

    /// What is still to be fetched, in order.
    pub(crate) fn missing(&self) -> Vec<Range<u64>> {
        self.shared.state().claimed.missing(0..self.shared.blob.size)
    }

    /// How many bytes are still to be fetched.
    pub(crate) fn missing_bytes(&self) -> u64 {
        self.missing().iter().map(|gap| gap.end - gap.start).sum()
    }

    /// The file, for reading what has been written. Nobody else touches it while this lives.
    pub(crate) fn open(&self) -> Result<fs_err::File, StoreError> {
        super::blob::open_plain(&self.shared.path).map_err(StoreError::io("open ingest file"))
    }

    /// Writes down what is there, so that it outlives the process from here on.
    pub(crate) fn keep(&self) {
        self.shared.state().journalize(false);
    }

    /// A handle for those who write.
    pub(crate) fn writer(&self) -> Writer {
        Writer(Arc::clone(&self.shared))
    }

    /// Makes the blob visible, if `found`, the digest of all its bytes, is the right one; else removes it. Blocks.
    pub(crate) fn finish(self, found: &Digest) -> Result<(), StoreError> {
        let Shared {
            store,
            blob,
            file,
            path,
            ..
        } = &*self.shared;
        if *found != blob.digest {
            self.discard();
            return Err(StoreError::DigestMismatch {
                digest: blob.digest,
                found: *found,
                path: None,
            });
        }
        let mode = std::fs::Permissions::from_mode(BLOB_MODE);
        file.set_permissions(mode).map_err(StoreError::io("protect blob"))?;
        file.sync_all().map_err(StoreError::io("write blob to disk"))?;
        let target = store.blob_path(&blob.digest);
        fs_err::rename(path, &target).map_err(StoreError::io("move blob into place"))?;
        let mut state = self.shared.state();
        state.settled = true;
        // Without its blob a journal says nothing; one that stays is swept later.
        let _ = fs_err::remove_file(state.journal.path());
        drop(state);
        store.sync_folder(target.parent().unwrap_or(&target))
    }

    /// Removes what was fetched.
    pub(crate) fn discard(&self) {
        self.shared.state().settled = true;
        self.shared.remove();
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        self.shared.state().stopped = true;
        self.shared.changed.notify_all();
    }
}

impl Writer {
    /// Writes `pieces` one after the other from `offset` on, leaving out bytes that are there already; returns how many
    /// were not. Blocks.
    pub(crate) fn write(&self, offset: u64, pieces: &[Bytes]) -> Result<u64, StoreError> {
        let shared = &*self.0;
        let (mut at, mut news) = (offset, 0);
        for piece in pieces {
            let len = u64::try_from(piece.len()).unwrap_or(u64::MAX);
            let end = at.checked_add(len).filter(|&end| end <= shared.blob.size);
            let end = end.ok_or(StoreError::Overrun {
                limit: shared.blob.size,
            })?;
            for gap in shared.reserve(at..end) {
                let from = usize::try_from(gap.start - at).unwrap_or(usize::MAX);
                let to = usize::try_from(gap.end - at).unwrap_or(usize::MAX);
                let bytes = piece.get(from..to).unwrap_or_default();
                let written = shared.file.file().write_all_at(bytes, gap.start);
                written.map_err(StoreError::io("write blob"))?;
                news += gap.end - gap.start;
                shared.written(gap);
            }
            at = end;
        }
        shared.changed.notify_all();
        Ok(news)
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reserve(&self, range: Range<u64>) -> Vec<Range<u64>> {
        let mut state = self.state();
        let gaps = state.claimed.missing(range.clone());
        state.claimed.insert(range);
        gaps
    }

    fn written(&self, range: Range<u64>) {
        let len = range.end - range.start;
        let mut state = self.state();
        state.record.written.insert(range);
        state.unsynced += len;
        state.unjournaled += len;
        if state.unjournaled >= JOURNAL_EVERY_BYTES {
            state.journalize(false);
        }
    }

    fn remove(&self) {
        let journal = self.state().journal.path().to_owned();
        for path in [&self.path, &journal] {
            match fs_err::remove_file(path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    tracing::warn!(%error, "a partial blob stays behind");
                }
                _ => {}
            }
        }
    }
}

impl State {
    /// Writes the journal. Without it more is fetched again, so a failure is only logged.
    fn journalize(&mut self, durable: bool) {
        self.unjournaled = 0;
        self.record.sequence += 1;
        let Self { record, journal, .. } = self;
        if let Err(error) = journal.store(record, durable) {
            tracing::warn!(%error, "cannot journal a partial blob");
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let mut state = self.state();
        if state.settled {
            return;
        }
        if state.record.written.total() >= KEEP_FLOOR_BYTES {
            state.journalize(false);
        } else {
            drop(state);
            self.remove();
        }
    }
}
