//! The downgrade guard's memory: for every name, what was accepted last and the newest signing time ever accepted. A folder
//! of small files, written under a lock and replaced whole.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use fs_err::os::unix::fs::OpenOptionsExt as _;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;

/// Largest record that is read.
const MAX_RECORD_BYTES: u64 = 16 << 10;

/// Accepted signing times by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustHistory {
    folder: PathBuf,
    writable: bool,
}

/// What is known of a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Record {
    name: String,
    /// What was accepted last.
    digest: Digest,
    /// Newest time of all that was accepted.
    signed_at: Timestamp,
}

/// What is about to be accepted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arrival<'a> {
    pub(super) name: &'a str,
    pub(super) digest: Digest,
    pub(super) signed_at: Option<Timestamp>,
    /// Whether it may be older than what is known.
    pub(super) allow_downgrade: bool,
}

impl TrustHistory {
    /// The history in `folder`, which is made when something is first kept; with `writable` unset, it is only read.
    #[must_use]
    pub fn new(folder: &Path, writable: bool) -> Self {
        Self {
            folder: folder.to_owned(),
            writable,
        }
    }

    /// Whether `arrival` may follow what is known of its name.
    pub(super) fn check(&self, arrival: &Arrival<'_>) -> Result<(), HistoryError> {
        let known = self.read(arrival.name)?;
        known.map_or(Ok(()), |known| known.check(arrival))
    }

    /// The same, and keeps that it was accepted.
    pub(super) fn admit(&self, arrival: &Arrival<'_>) -> Result<(), HistoryError> {
        let known = self.read(arrival.name)?;
        if let Some(known) = &known {
            known.check(arrival)?;
        }
        if !self.writable || next(known.as_ref(), arrival) == known {
            return Ok(());
        }
        let failed = |source| HistoryError::Io { source };
        fs_err::create_dir_all(&self.folder).map_err(failed)?;
        let lock = fs_err::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o644)
            .open(self.folder.join("lock"))
            .map_err(failed)?;
        lock.file().lock().map_err(failed)?;
        // Another process may have accepted something newer meanwhile.
        let known = self.read(arrival.name)?;
        if let Some(known) = &known {
            known.check(arrival)?;
        }
        match next(known.as_ref(), arrival) {
            Some(record) => self.write(&record),
            None => Ok(()),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{}.json", Digest::of(name.as_bytes()).hex()))
    }

    fn read(&self, name: &str) -> Result<Option<Record>, HistoryError> {
        let path = self.path(name);
        let file = match fs_err::File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(HistoryError::Io { source }),
        };
        let mut bytes = Vec::new();
        let read = file.take(MAX_RECORD_BYTES).read_to_end(&mut bytes);
        read.map_err(|source| HistoryError::Io { source })?;
        match serde_json::from_slice::<Record>(&bytes) {
            Ok(record) if record.name == name => Ok(Some(record)),
            // To ignore it would be to forget what was accepted.
            _ => Err(HistoryError::Broken { path }),
        }
    }

    fn write(&self, record: &Record) -> Result<(), HistoryError> {
        let write = || {
            let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
            file.write_all(&serde_json::to_vec(record)?)?;
            file.as_file().sync_all()?;
            file.persist(self.path(&record.name)).map_err(|error| error.error)?;
            Ok(())
        };
        write().map_err(|source| HistoryError::Io { source })
    }
}

impl Record {
    fn check(&self, arrival: &Arrival<'_>) -> Result<(), HistoryError> {
        let is_older = arrival.signed_at.is_none_or(|at| at < self.signed_at);
        if arrival.digest == self.digest || arrival.allow_downgrade || !is_older {
            return Ok(());
        }
        Err(HistoryError::Downgrade {
            signed_at: arrival.signed_at,
            newest: self.signed_at,
        })
    }
}

/// What is to be known afterwards; nothing, as long as nothing has a time.
fn next(known: Option<&Record>, arrival: &Arrival<'_>) -> Option<Record> {
    let signed_at = known.map(|known| known.signed_at).max(arrival.signed_at)?;
    Some(Record {
        name: arrival.name.to_owned(),
        digest: arrival.digest,
        signed_at,
    })
}

/// Why the guard does not let something pass.
#[derive(Debug)]
pub(super) enum HistoryError {
    /// It is older than what was accepted before.
    Downgrade {
        signed_at: Option<Timestamp>,
        newest: Timestamp,
    },
    /// A record cannot be read.
    Broken { path: PathBuf },
    /// A file operation failed.
    Io { source: std::io::Error },
}
