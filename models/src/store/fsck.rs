//! Checking the store: every blob is hashed again, every manifest's parts are looked for, and what should not be there
//! is found. Mending moves aside what is wrong, so that the next pull fetches it again; it never makes anything up.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::PathBuf;

use serde::Serialize;

use super::graph::{Graph, Role};
use super::{Store, StoreError, partial};
use crate::annotation;
use crate::descriptor::Descriptor;
use crate::digest::{Digest, Hasher};

/// Bytes hashed at a time.
const READ_BYTES: usize = 1 << 20;

/// Something wrong with the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "damage", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Damage {
    /// A blob's bytes are not those that its name promises.
    Corrupt {
        /// The blob.
        digest: Digest,
        /// What its bytes hash to.
        found: Digest,
    },
    /// Something in the folder of blobs that is none.
    NotABlob {
        /// The path.
        path: PathBuf,
    },
    /// A manifest names a blob that is not there, or that has another size.
    Missing {
        /// The blob.
        digest: Digest,
        /// The manifest.
        needed_by: Digest,
    },
    /// A tag, pin or list names a manifest that is not there.
    Dangling {
        /// The name; empty for entries without one.
        name: String,
        /// The manifest.
        digest: Digest,
    },
    /// What is called a manifest cannot be read as one.
    NotADocument {
        /// The blob.
        digest: Digest,
        /// Why not.
        reason: String,
    },
    /// A lease that keeps nothing.
    VoidLease {
        /// Its file.
        path: PathBuf,
    },
    /// An unfinished write whose writer is gone.
    Leftover {
        /// The file.
        path: PathBuf,
    },
}

/// What a check found.
#[derive(Debug, Clone, Default, Serialize)]
pub struct FsckReport {
    /// Blobs hashed.
    pub blobs: usize,
    /// Their bytes.
    pub bytes: u64,
    /// What is wrong, nothing in a sound store.
    pub damages: Vec<Damage>,
}

/// What was mended.
#[derive(Debug, Clone, Default, Serialize)]
pub struct MendReport {
    /// Blobs and other files moved to `quarantine/`.
    pub quarantined: usize,
    /// Entries of the index dropped.
    pub dropped: usize,
    /// Leases and leftovers removed.
    pub removed: usize,
    /// What cannot be mended here: pull the artifacts again.
    pub left: Vec<Damage>,
}

impl Store {
    /// Checks everything. `progress` gets the number of bytes of each step.
    ///
    /// # Errors
    /// When the store cannot be read at all; single damages are in the report.
    pub fn fsck(&self, progress: &dyn Fn(u64)) -> Result<FsckReport, StoreError> {
        let mut report = FsckReport::default();
        let mut sizes = BTreeMap::new();
        let entries = fs_err::read_dir(self.blobs_path()).map_err(StoreError::io("list blobs"))?;
        for entry in entries {
            let path = entry.map_err(StoreError::io("list blobs"))?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let digest = format!("sha256:{name}").parse::<Digest>();
            let file = super::blob::open_plain(&path);
            let is_file = path.symlink_metadata().is_ok_and(|metadata| metadata.is_file());
            let (Ok(digest), Ok(mut file), true) = (digest, file, is_file) else {
                report.damages.push(Damage::NotABlob { path });
                continue;
            };
            let (found, size) = hash(&mut file, progress).map_err(StoreError::io("read blob"))?;
            report.blobs += 1;
            report.bytes = report.bytes.saturating_add(size);
            if found == digest {
                sizes.insert(digest, size);
            } else {
                report.damages.push(Damage::Corrupt { digest, found });
            }
        }
        self.check_names(&sizes, &mut report)?;
        self.check_leftovers(&mut report)?;
        Ok(report)
    }

    /// Follows all names. What is corrupt counts as missing to those that need it.
    fn check_names(&self, sizes: &BTreeMap<Digest, u64>, report: &mut FsckReport) -> Result<(), StoreError> {
        let index = self.read_index()?;
        let mut graph = Graph::new(self, &index);
        let tagged = index.manifests.iter().map(|entry| {
            let name = entry.annotations.get(annotation::REF_NAME).cloned().unwrap_or_default();
            (name, entry.clone())
        });
        let mut queue = Vec::new();
        for (name, entry) in tagged.chain(self.pins()?) {
            if sizes.contains_key(&entry.digest) {
                queue.push(entry);
            } else {
                let digest = entry.digest;
                report.damages.push(Damage::Dangling { name, digest });
            }
        }
        let mut seen = std::collections::BTreeSet::new();
        while let Some(next) = queue.pop() {
            if !seen.insert((next.digest, Role::of(&next))) {
                continue;
            }
            let named: Vec<Descriptor> = match graph.named_by(&next) {
                Ok(named) => named.to_vec(),
                Err(error) => {
                    let reason = super::error::chain(&error);
                    let digest = next.digest;
                    report.damages.push(Damage::NotADocument { digest, reason });
                    continue;
                }
            };
            for part in named {
                // Links have no media type; a model that was not pulled is not missing.
                let is_link = part.media_type.is_empty();
                match sizes.get(&part.digest) {
                    Some(size) if is_link || *size == part.size => queue.push(part),
                    None if is_link => {}
                    _ => report.damages.push(Damage::Missing {
                        digest: part.digest,
                        needed_by: next.digest,
                    }),
                }
            }
        }
        Ok(())
    }

    fn check_leftovers(&self, report: &mut FsckReport) -> Result<(), StoreError> {
        let void = self.leases()?.into_iter().filter(|lease| lease.is_void);
        report
            .damages
            .extend(void.map(|lease| Damage::VoidLease { path: lease.path }));
        if !self.is_writable() {
            return Ok(());
        }
        let entries = fs_err::read_dir(self.ingest_path()).map_err(StoreError::io("list unfinished writes"))?;
        for entry in entries {
            let path = entry.map_err(StoreError::io("list unfinished writes"))?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let is_free = || super::blob::open_plain(&path).is_ok_and(|file| file.file().try_lock().is_ok());
            let blob = name.strip_suffix(partial::JOURNAL_SUFFIX);
            let is_orphan = blob.is_some_and(|blob| !path.with_file_name(blob).exists());
            // Partial blobs wait for the next pull; their age is the garbage collector's concern.
            if is_orphan || (!name.starts_with(partial::PREFIX) && is_free()) {
                report.damages.push(Damage::Leftover { path });
            }
        }
        Ok(())
    }

    /// Mends what `report` found, as far as it is still so: corrupt blobs and strange files go to `quarantine/`, entries
    /// that name nothing are dropped, void leases and leftovers removed.
    ///
    /// # Errors
    /// When the store is read-only or cannot be written.
    pub fn mend(&self, report: &FsckReport) -> Result<MendReport, StoreError> {
        let _gate = self.close_gate()?;
        let mut mended = MendReport::default();
        for damage in &report.damages {
            match damage {
                Damage::Corrupt { digest, .. } => {
                    let path = self.blob_path(digest);
                    // Another process may have healed it meanwhile.
                    let is_wrong = super::blob::open_plain(&path)
                        .and_then(|mut file| hash(&mut file, &|_| {}))
                        .is_ok_and(|(found, _)| found != *digest);
                    if is_wrong {
                        self.quarantine(&path)?;
                        mended.quarantined += 1;
                    }
                }
                Damage::NotABlob { path } if path.parent() == Some(self.blobs_path().as_path()) => {
                    self.quarantine(path)?;
                    mended.quarantined += 1;
                }
                Damage::VoidLease { path } | Damage::Leftover { path } if path.starts_with(self.root()) => {
                    let is_free = super::blob::open_plain(path).is_ok_and(|file| file.file().try_lock().is_ok());
                    if is_free {
                        fs_err::remove_file(path).map_err(StoreError::io("remove leftover"))?;
                        mended.removed += 1;
                    }
                }
                Damage::Dangling { .. } => {}
                other => mended.left.push(other.clone()),
            }
        }
        let _lock = self.lock_index()?;
        let mut index = self.read_index()?;
        let before = index.manifests.len();
        index.manifests.retain(|entry| self.contains(&entry.digest));
        mended.dropped = before - index.manifests.len();
        if mended.dropped > 0 {
            self.write_index(&index)?;
        }
        Ok(mended)
    }

    /// Moves a file out of the way, under a name that nothing has yet.
    fn quarantine(&self, path: &std::path::Path) -> Result<(), StoreError> {
        let folder = self.quarantine_path();
        fs_err::create_dir_all(&folder).map_err(StoreError::io("create quarantine"))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let free = (0_u32..).map(|number| folder.join(format!("{name}-{number}")));
        let Some(target) = free.into_iter().find(|target| target.symlink_metadata().is_err()) else {
            return Ok(());
        };
        fs_err::rename(path, target).map_err(StoreError::io("move into quarantine"))
    }

    pub(super) fn quarantine_path(&self) -> PathBuf {
        self.root().join("quarantine")
    }
}

fn hash(file: &mut fs_err::File, progress: &dyn Fn(u64)) -> std::io::Result<(Digest, u64)> {
    let mut hasher = Hasher::default();
    let mut buffer = vec![0; READ_BYTES];
    let mut size = 0_u64;
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok((hasher.finish(), size));
        }
        hasher.update(buffer.get(..read).unwrap_or_default());
        let read = u64::try_from(read).unwrap_or_default();
        size = size.saturating_add(read);
        progress(read);
    }
}
