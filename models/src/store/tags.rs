//! `index.json`: which names point to which manifests. Changed under a lock file by write, fsync and rename, so that
//! readers need no lock and see either the old or the new list.

use std::io::Read;
use std::os::unix::fs::MetadataExt as _;
use std::time::SystemTime;

use fs_err::os::unix::fs::OpenOptionsExt as _;

use super::{Store, StoreError};
use crate::annotation;
use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::manifest::Index;
use crate::reference::Reference;

/// Largest `index.json` that is read: a hundred thousand tags.
const MAX_INDEX_BYTES: u64 = 32 << 20;

/// One entry of a store or layout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name as written: in a store `name:tag`, in layouts of others often a bare tag, or nothing.
    pub name: Option<String>,
    /// What it points to.
    pub descriptor: Descriptor,
}

impl Entry {
    fn of(mut descriptor: Descriptor) -> Self {
        Self {
            name: descriptor.annotations.remove(annotation::REF_NAME),
            descriptor,
        }
    }

    /// The name as a reference, if it is one.
    #[must_use]
    pub fn reference(&self) -> Option<Reference> {
        self.name.as_ref()?.parse().ok()
    }

    /// Whether this is a list of referrers rather than an artifact.
    fn is_referrers_list(&self) -> bool {
        self.name.as_deref().and_then(referrers_subject).is_some()
    }
}

impl Store {
    /// What `reference` points to: the manifest of its digest if it has one, else of its tag.
    ///
    /// # Errors
    /// When the store does not have it.
    pub fn resolve(&self, reference: &Reference) -> Result<Descriptor, StoreError> {
        let unknown = || StoreError::UnknownReference {
            reference: reference.to_string(),
        };
        if let Some(digest) = reference.digest() {
            return self.describe(digest).map_err(|error| match error {
                StoreError::BlobMissing { .. } => unknown(),
                other => other,
            });
        }
        let name = reference.tagged().ok_or_else(unknown)?;
        self.entry(&name)?.ok_or_else(unknown)
    }

    /// The entry of a layout under its bare name, or its only entry when no name is given.
    ///
    /// # Errors
    /// When there is no such entry, or not exactly one.
    pub fn layout_entry(&self, name: Option<&str>) -> Result<Descriptor, StoreError> {
        if let Some(name) = name {
            let unknown = || StoreError::UnknownReference {
                reference: name.to_owned(),
            };
            return self.entry(name)?.ok_or_else(unknown);
        }
        let mut entries = self.list()?;
        match (entries.pop(), entries.len()) {
            (Some(entry), 0) => Ok(entry.descriptor),
            (last, rest) => Err(StoreError::NoSingleEntry {
                path: self.root().to_owned(),
                entries: rest.saturating_add(usize::from(last.is_some())),
            }),
        }
    }

    /// Points the tag of `reference` to `descriptor`.
    ///
    /// # Errors
    /// When the reference has no tag or has a digest, the store lacks the manifest, or it cannot be written.
    pub fn tag(&self, reference: &Reference, descriptor: &Descriptor) -> Result<(), StoreError> {
        let name = tag_name(reference)?;
        self.try_update_index(|index| {
            // Looked at only now that nothing is being removed.
            let digest = descriptor.digest;
            self.contains(&digest)
                .then_some(())
                .ok_or(StoreError::BlobMissing { digest })?;
            set_entry(index, &name, descriptor);
            Ok(())
        })
    }

    /// Removes the tag of `reference`; the blobs stay.
    ///
    /// # Errors
    /// When there is no such tag, or the store cannot be written.
    pub fn untag(&self, reference: &Reference) -> Result<(), StoreError> {
        let name = tag_name(reference)?;
        let removed = self.update_index(|index| {
            let before = index.manifests.len();
            index
                .manifests
                .retain(|entry| entry.annotations.get(annotation::REF_NAME) != Some(&name));
            before != index.manifests.len()
        })?;
        removed
            .then_some(())
            .ok_or(StoreError::UnknownReference { reference: name })
    }

    /// All tags, in the order they were set. Lists of referrers are left out.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn list(&self) -> Result<Vec<Entry>, StoreError> {
        let entries = self.read_index()?.manifests.into_iter().map(Entry::of);
        Ok(entries.filter(|entry| !entry.is_referrers_list()).collect())
    }

    /// The descriptor under exactly this name.
    pub(super) fn entry(&self, name: &str) -> Result<Option<Descriptor>, StoreError> {
        let entries = self.read_index()?.manifests.into_iter().map(Entry::of);
        Ok(entries
            .filter(|entry| entry.name.as_deref() == Some(name))
            .map(|entry| entry.descriptor)
            .next())
    }

    /// What tells the present list of tags from any other, without reading it; `None` when it cannot be told.
    pub(crate) fn index_stamp(&self) -> Option<(u64, SystemTime, u64)> {
        let metadata = fs_err::symlink_metadata(self.index_path()).ok()?;
        Some((metadata.ino(), metadata.modified().ok()?, metadata.len()))
    }

    pub(super) fn read_index(&self) -> Result<Index, StoreError> {
        let path = self.index_path();
        let file = fs_err::File::open(&path).map_err(StoreError::io("open index"))?;
        let mut bytes = Vec::new();
        file.take(MAX_INDEX_BYTES + 1)
            .read_to_end(&mut bytes)
            .map_err(StoreError::io("read index"))?;
        if u64::try_from(bytes.len()).is_ok_and(|len| len > MAX_INDEX_BYTES) {
            return Err(StoreError::IndexTooLarge {
                path,
                limit: MAX_INDEX_BYTES,
            });
        }
        serde_json::from_slice(&bytes).map_err(|source| StoreError::BrokenIndex { path, source })
    }

    /// Changes the index while no other process does.
    pub(super) fn update_index<T>(&self, change: impl FnOnce(&mut Index) -> T) -> Result<T, StoreError> {
        self.try_update_index(|index| Ok(change(index)))
    }

    /// The same for a change that can fail; the index is written only when it does not.
    pub(super) fn try_update_index<T>(
        &self,
        change: impl FnOnce(&mut Index) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let _gate = self.share_gate()?;
        let _lock = self.lock_index()?;
        let mut index = self.read_index()?;
        let outcome = change(&mut index)?;
        self.write_index(&index)?;
        Ok(outcome)
    }

    /// Takes the lock that guards `index.json`; closing the file releases it.
    pub(super) fn lock_index(&self) -> Result<fs_err::File, StoreError> {
        let path = self.root().join("index.json.lock");
        let lock = fs_err::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o644)
            .open(path)
            .map_err(StoreError::io("open index lock"))?;
        lock.file().lock().map_err(StoreError::io("lock index"))?;
        Ok(lock)
    }

    pub(super) fn write_index(&self, index: &Index) -> Result<(), StoreError> {
        let bytes = serde_json::to_vec(index).map_err(|source| StoreError::Encode {
            what: "the store index",
            source,
        })?;
        self.replace(&self.index_path(), &bytes)
    }
}

/// Replaces or appends the entry called `name`.
pub(super) fn set_entry(index: &mut Index, name: &str, descriptor: &Descriptor) {
    let entry = descriptor.clone().annotated(annotation::REF_NAME, name);
    let same = |entry: &&mut Descriptor| entry.annotations.get(annotation::REF_NAME).is_some_and(|n| n == name);
    match index.manifests.iter_mut().find(same) {
        Some(present) => *present = entry,
        None => index.manifests.push(entry),
    }
}

/// What a list of referrers called `name` is about: `sha256-<hex>`, with or without a repository before it.
pub(super) fn referrers_subject(name: &str) -> Option<Digest> {
    let tag = name.rsplit(':').next().unwrap_or(name);
    format!("sha256:{}", tag.strip_prefix("sha256-")?).parse().ok()
}

pub(super) fn tag_name(reference: &Reference) -> Result<String, StoreError> {
    let not_a_tag = || StoreError::NotATag {
        reference: reference.to_string(),
    };
    if reference.digest().is_some() {
        return Err(not_a_tag());
    }
    reference.tagged().ok_or_else(not_a_tag)
}
