//! Making the plan: mark what is needed, list the rest. Removes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::{Evict, GcOptions, GcPlan};
use crate::annotation;
use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::manifest::Index;
use crate::store::graph::Graph;
use crate::store::tags::referrers_subject;
use crate::store::{Store, StoreError, partial};

/// A blob's file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found {
    pub(super) size: u64,
    pub(super) is_young: bool,
}

/// What keeps things, but for the tags.
pub(super) struct Holds {
    pub(super) pins: BTreeMap<String, Descriptor>,
    pub(super) leased: Vec<Descriptor>,
    void_leases: Vec<PathBuf>,
}

impl Store {
    /// Looks what nobody needs. Other processes may work on meanwhile: the execution looks again.
    ///
    /// # Errors
    /// When something that is needed cannot be read, so that it is unknown what it needs in turn.
    pub fn plan_gc(&self, options: &GcOptions) -> Result<GcPlan, StoreError> {
        self.check_writable()?;
        let blobs = self.blob_files(options.grace)?;
        let holds = self.holds()?;
        let index = self.read_index()?;
        let mut graph = Graph::new(self, &index);
        let mut kept = graph.closure(roots(&index, &holds, &BTreeSet::new()))?;
        let mut evict = Vec::new();
        let mut missing_bytes = 0;
        if let Some(wanted) = options.evict {
            let total: u64 = blobs.values().map(|found| found.size).fold(0, u64::saturating_add);
            let needed = self.needed(wanted, total);
            let mut evicted = BTreeSet::new();
            for (name, digest) in self.candidates(&index, &holds) {
                if garbage(&blobs, &kept) >= needed {
                    break;
                }
                evicted.insert(name.clone());
                kept = graph.closure(roots(&index, &holds, &evicted))?;
                evict.push((name, digest));
            }
            missing_bytes = needed.saturating_sub(garbage(&blobs, &kept));
        }
        let unneeded = blobs
            .iter()
            .filter(|(digest, found)| !kept.contains(digest) && !found.is_young);
        let blobs_to_go: Vec<(Digest, u64)> = unneeded.map(|(digest, found)| (*digest, found.size)).collect();
        let lists = index.manifests.iter().filter_map(|entry| {
            let name = entry.annotations.get(annotation::REF_NAME)?;
            let is_needed = kept.contains(&referrers_subject(name)?);
            (!is_needed).then(|| name.clone())
        });
        let (files, file_bytes) = self.other_files(options, &holds, &kept)?;
        let freed = blobs_to_go.iter().map(|(_, size)| *size).fold(0, u64::saturating_add);
        let total: u64 = blobs.values().map(|found| found.size).fold(0, u64::saturating_add);
        Ok(GcPlan {
            evict,
            lists: lists.collect(),
            blobs: blobs_to_go,
            files,
            freed_bytes: freed.saturating_add(file_bytes),
            kept_bytes: total.saturating_sub(freed),
            missing_bytes,
            options: options.clone(),
        })
    }

    /// Bytes to be freed.
    fn needed(&self, wanted: Evict, total: u64) -> u64 {
        let over = if total > wanted.high_bytes {
            total.saturating_sub(wanted.low_bytes)
        } else {
            0
        };
        let free = self.free_bytes().unwrap_or(u64::MAX);
        over.max(wanted.min_free_bytes.saturating_sub(free))
    }

    /// Tags that may be evicted, the longest unused first; those whose use was never noted before all others.
    fn candidates(&self, index: &Index, holds: &Holds) -> Vec<(String, Digest)> {
        let mut candidates: Vec<_> = index
            .manifests
            .iter()
            .filter_map(|entry| {
                let name = entry.annotations.get(annotation::REF_NAME)?;
                let may_go = referrers_subject(name).is_none() && !holds.pins.contains_key(name);
                may_go.then(|| (self.last_used(&entry.digest), name.clone(), entry.digest))
            })
            .collect();
        candidates.sort();
        candidates.into_iter().map(|(_, name, digest)| (name, digest)).collect()
    }

    pub(super) fn holds(&self) -> Result<Holds, StoreError> {
        let (void, live): (Vec<_>, Vec<_>) = self.leases()?.into_iter().partition(|lease| lease.is_void);
        let leased = live.into_iter().flat_map(|lease| lease.digests);
        Ok(Holds {
            pins: self.pins()?,
            leased: leased.map(|digest| Descriptor::new("", digest, 0)).collect(),
            void_leases: void.into_iter().map(|lease| lease.path).collect(),
        })
    }

    pub(super) fn blob_files(&self, grace: Duration) -> Result<BTreeMap<Digest, Found>, StoreError> {
        let entries = fs_err::read_dir(self.blobs_path()).map_err(StoreError::io("list blobs"))?;
        let mut found = BTreeMap::new();
        for entry in entries {
            let entry = entry.map_err(StoreError::io("list blobs"))?;
            let name = entry.file_name();
            let digest = format!("sha256:{}", name.to_string_lossy()).parse::<Digest>();
            // What is not named like a blob is none; `fsck` reports it.
            let (Ok(digest), Ok(metadata)) = (digest, entry.metadata()) else {
                continue;
            };
            if metadata.is_file() {
                let size = metadata.len();
                let is_young = age(&metadata) < grace;
                found.insert(digest, Found { size, is_young });
            }
        }
        Ok(found)
    }

    /// Files beside blobs that nobody needs, and their bytes.
    fn other_files(
        &self,
        options: &GcOptions,
        holds: &Holds,
        kept: &BTreeSet<Digest>,
    ) -> Result<(Vec<PathBuf>, u64), StoreError> {
        let mut files = holds.void_leases.clone();
        let mut bytes = 0_u64;
        for (path, metadata) in list(&self.ingest_path())? {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let Some(blob) = name.strip_prefix(partial::PREFIX) else {
                continue;
            };
            // Journals without a blob, and partial blobs of which the whole is there, serve nobody.
            let is_stale = match blob.strip_suffix(partial::JOURNAL_SUFFIX) {
                Some(_) => !path.with_extension("").exists(),
                None => self.blobs_path().join(blob).exists(),
            };
            if is_stale || age(&metadata) >= options.partial_age {
                bytes = bytes.saturating_add(metadata.len());
                files.push(path);
            }
        }
        for (path, metadata) in list(&self.quarantine_path())? {
            if age(&metadata) >= options.partial_age {
                bytes = bytes.saturating_add(metadata.len());
                files.push(path);
            }
        }
        for folder in [self.used_path(), self.extracted_path()] {
            for (path, metadata) in list(&folder)? {
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                let hex = name.split(['-', '.']).next().unwrap_or_default();
                let digest = format!("sha256:{hex}").parse::<Digest>();
                if digest.is_ok_and(|digest| !kept.contains(&digest)) && age(&metadata) >= options.grace {
                    bytes = bytes.saturating_add(metadata.len());
                    files.push(path);
                }
            }
        }
        Ok((files, bytes))
    }
}

/// What is needed at first hand.
pub(super) fn roots(index: &Index, holds: &Holds, evicted: &BTreeSet<String>) -> Vec<Descriptor> {
    let tagged = index.manifests.iter().filter(|entry| {
        let name = entry.annotations.get(annotation::REF_NAME);
        name.is_none_or(|name| referrers_subject(name).is_none() && !evicted.contains(name))
    });
    tagged
        .chain(holds.pins.values())
        .chain(&holds.leased)
        .cloned()
        .collect()
}

fn garbage(blobs: &BTreeMap<Digest, Found>, kept: &BTreeSet<Digest>) -> u64 {
    let unneeded = blobs
        .iter()
        .filter(|(digest, found)| !kept.contains(digest) && !found.is_young);
    unneeded.map(|(_, found)| found.size).fold(0, u64::saturating_add)
}

fn age(metadata: &std::fs::Metadata) -> Duration {
    let modified = metadata.modified().unwrap_or_else(|_| SystemTime::now());
    // A time in the future is that of a clock that was wrong: such a file is as young as can be.
    SystemTime::now().duration_since(modified).unwrap_or_default()
}

fn list(folder: &Path) -> Result<Vec<(PathBuf, std::fs::Metadata)>, StoreError> {
    let entries = match fs_err::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(StoreError::io("list files of the store")(source)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(StoreError::io("list files of the store"))?;
        // What is gone by now needs no collecting.
        if let Ok(metadata) = entry.metadata()
            && metadata.is_file()
        {
            found.push((entry.path(), metadata));
        }
    }
    found.sort_by(|left, right| left.0.cmp(&right.0));
    Ok(found)
}
