//! The journal beside a blob that is being fetched: which of its bytes are there. It saves fetching, and is never trusted
//! for content: the digest of the whole decides.
//!
//! Two slots are written in turn, each with a checksum, so that a torn write costs one entry. What was merely written
//! counts only as long as the machine runs: after a restart only what had reached the disk does.

use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use fs_err::os::unix::fs::OpenOptionsExt as _;

use crate::digest::Digest;
use crate::store::blob::open_plain;
use crate::store::extents::Extents;

const MAGIC: &[u8; 8] = b"dunlinJ1";
const SLOT_BYTES: usize = 4096;
/// Where the checksum of a slot begins.
const BODY_BYTES: usize = SLOT_BYTES - 32;
const HEAD_BYTES: usize = 64;
const BOOT_ID_BYTES: usize = 36;
/// Ranges that fit into a slot. More are left out: they are fetched again.
const MAX_RANGES: usize = (BODY_BYTES - HEAD_BYTES) / 16;
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// What a journal says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Record {
    /// Number of the entry; the higher one counts.
    pub(super) sequence: u64,
    /// Size of the blob.
    pub(super) size: u64,
    /// What was handed to the kernel.
    pub(super) written: Extents,
    /// What has reached the disk.
    pub(super) synced: Extents,
}

/// The file.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    file: Option<fs_err::File>,
    boot_id: [u8; BOOT_ID_BYTES],
}

impl Journal {
    /// The journal at `path`, which need not exist yet.
    pub(super) fn new(path: PathBuf) -> Self {
        let mut boot_id = [0; BOOT_ID_BYTES];
        // A system that does not tell has the id of zeros, which never counts as the same start.
        if let Ok(text) = fs_err::read(BOOT_ID)
            && let Some(id) = text.get(..BOOT_ID_BYTES)
        {
            boot_id.copy_from_slice(id);
        }
        Self {
            path,
            file: None,
            boot_id,
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What is known of a blob of `size` bytes; nothing when there is no readable entry.
    pub(super) fn load(&self, size: u64) -> Record {
        let Ok(file) = open_plain(&self.path) else {
            return Record::default();
        };
        let slots = [0, 1].map(|slot: u64| {
            let mut bytes = [0; SLOT_BYTES];
            let offset = slot * u64::try_from(SLOT_BYTES).unwrap_or_default();
            file.file().read_exact_at(&mut bytes, offset).ok()?;
            self.decode(&bytes)
        });
        let known = slots.into_iter().flatten().filter(|record| record.size == size);
        known.max_by_key(|record| record.sequence).unwrap_or_default()
    }

    /// Writes `record` into the slot that is its turn; with `durable`, to disk.
    pub(super) fn store(&mut self, record: &Record, durable: bool) -> io::Result<()> {
        if self.file.is_none() {
            let file = fs_err::OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .custom_flags(libc::O_NOFOLLOW)
                .open(&self.path)?;
            self.file = Some(file);
        }
        let Some(file) = &self.file else { return Ok(()) };
        let offset = (record.sequence % 2) * u64::try_from(SLOT_BYTES).unwrap_or_default();
        file.file().write_all_at(&self.encode(record), offset)?;
        if durable { file.sync_data() } else { Ok(()) }
    }

    fn encode(&self, record: &Record) -> Vec<u8> {
        let written: Vec<_> = record.written.iter().take(MAX_RANGES / 2).collect();
        let synced: Vec<_> = record.synced.iter().take(MAX_RANGES / 2).collect();
        let count = |ranges: &[&Range<u64>]| u16::try_from(ranges.len()).unwrap_or_default().to_le_bytes();
        let mut bytes = Vec::with_capacity(SLOT_BYTES);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&record.sequence.to_le_bytes());
        bytes.extend_from_slice(&record.size.to_le_bytes());
        bytes.extend_from_slice(&self.boot_id);
        bytes.extend_from_slice(&count(&written));
        bytes.extend_from_slice(&count(&synced));
        for range in written.into_iter().chain(synced) {
            bytes.extend_from_slice(&range.start.to_le_bytes());
            bytes.extend_from_slice(&range.end.to_le_bytes());
        }
        bytes.resize(BODY_BYTES, 0);
        let checksum = Digest::of(&bytes);
        bytes.extend_from_slice(checksum.as_bytes());
        bytes
    }

    /// The entry in a slot, if it is whole. Ranges outside the blob make it none.
    fn decode(&self, slot: &[u8]) -> Option<Record> {
        let (body, checksum) = slot.split_at_checked(BODY_BYTES)?;
        if Digest::of(body).as_bytes() != checksum || body.get(..8)? != MAGIC {
            return None;
        }
        let number = |at: usize| Some(u64::from_le_bytes(body.get(at..at + 8)?.try_into().ok()?));
        let count = |at: usize| Some(usize::from(u16::from_le_bytes(body.get(at..at + 2)?.try_into().ok()?)));
        let (sequence, size) = (number(8)?, number(16)?);
        let boot_id = body.get(24..24 + BOOT_ID_BYTES)?;
        let (written, synced) = (count(60)?, count(62)?);
        let mut ranges = Vec::new();
        for position in 0..written.checked_add(synced).filter(|&sum| sum <= MAX_RANGES)? {
            let at = HEAD_BYTES + position * 16;
            let (start, end) = (number(at)?, number(at + 8)?);
            if start >= end || end > size {
                return None;
            }
            ranges.push(start..end);
        }
        let synced = Extents::of(ranges.split_off(written.min(ranges.len())));
        let same_start = boot_id == self.boot_id && self.boot_id != [0; BOOT_ID_BYTES];
        Some(Record {
            sequence,
            size,
            written: if same_start {
                Extents::of(ranges)
            } else {
                synced.clone()
            },
            synced,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::single_range_in_vec_init, reason = "sets of one range are what is tested")]
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn record(sequence: u64) -> Record {
        Record {
            sequence,
            size: 1000,
            written: Extents::of([0..100, 200..300]),
            synced: Extents::of([0..50]),
        }
    }

    #[test]
    fn the_last_whole_entry_counts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let mut journal = Journal::new(path.clone());
        assert_eq!(journal.load(1000), Record::default());
        journal.store(&record(4), false).unwrap();
        journal.store(&record(5), true).unwrap();
        assert_eq!(journal.load(1000), record(5));
        assert_eq!(journal.load(999), Record::default());
        let mut bytes = fs_err::read(&path).unwrap();
        bytes[SLOT_BYTES + 70] ^= 1;
        fs_err::write(&path, &bytes).unwrap();
        assert_eq!(journal.load(1000), record(4));
        bytes.truncate(SLOT_BYTES - 1);
        fs_err::write(&path, &bytes).unwrap();
        assert_eq!(journal.load(1000), Record::default());
    }

    #[test]
    fn after_a_restart_only_the_disk_counts() {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = Journal::new(folder.path().join("journal"));
        journal.store(&record(1), false).unwrap();
        journal.boot_id = [b'x'; BOOT_ID_BYTES];
        assert_eq!(journal.load(1000).written, Extents::of([0..50]));
        journal.boot_id = [0; BOOT_ID_BYTES];
        journal.store(&record(2), false).unwrap();
        assert_eq!(journal.load(1000).written, Extents::of([0..50]));
    }

    #[test]
    fn impossible_ranges_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = Journal::new(folder.path().join("journal"));
        for range in [0..1001, u64::MAX - 1..u64::MAX] {
            let lying = Record {
                written: Extents::of([range]),
                ..record(1)
            };
            journal.store(&lying, false).unwrap();
            assert_eq!(journal.load(1000), Record::default());
        }
        let scattered = Record {
            size: 1_000_000,
            written: Extents::of((0..1000).map(|at| at * 10..at * 10 + 1)),
            ..record(2)
        };
        journal.store(&scattered, false).unwrap();
        assert_eq!(journal.load(1_000_000).written.iter().count(), MAX_RANGES / 2);
    }
}
