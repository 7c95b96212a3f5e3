//! What names what in the store: manifests, their parts, their referrers, and the models that modules link.

use std::collections::{BTreeMap, BTreeSet};

use super::tags::referrers_subject;
use super::{Store, StoreError};
use crate::annotation;
use crate::artifact::ModelLink;
use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::manifest::{Document, Index, MAX_DOCUMENT_BYTES};
use crate::media_type;

/// The names inside a store, read once and followed as often as needed.
#[derive(Debug)]
pub(crate) struct Graph<'a> {
    store: &'a Store,
    /// Lists of referrers, by what they refer to.
    lists: BTreeMap<Digest, Descriptor>,
    /// What was found to be named, by digest and by what the blob was called: who calls a manifest something else must
    /// not hide what it names from those who call it right.
    named: BTreeMap<(Digest, Role), Vec<Descriptor>>,
}

/// What a descriptor says of its blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    /// A manifest or index.
    Document,
    /// Nothing: leases and links name digests only.
    Unknown,
    /// Something else, which names nothing.
    Leaf,
}

/// A file that was copied out of a layer: like a link, it may be missing, and it names nothing.
fn extracted(digest: Digest) -> Descriptor {
    Descriptor::new("", digest, 0)
}

impl Role {
    pub(crate) fn of(blob: &Descriptor) -> Self {
        match blob.media_type.as_str() {
            "" => Self::Unknown,
            known if media_type::MANIFESTS.contains(&known) => Self::Document,
            _ => Self::Leaf,
        }
    }
}

impl<'a> Graph<'a> {
    pub(crate) fn new(store: &'a Store, index: &Index) -> Self {
        let lists = index.manifests.iter().filter_map(|entry| {
            let name = entry.annotations.get(annotation::REF_NAME)?;
            Some((referrers_subject(name)?, entry.clone()))
        });
        Self {
            store,
            lists: lists.collect(),
            named: BTreeMap::new(),
        }
    }

    /// Everything that `roots` need: their parts, referrers and linked models, over any number of steps.
    ///
    /// # Errors
    /// When a manifest is there but cannot be read: what it names would be taken for unneeded.
    pub(crate) fn closure(
        &mut self,
        roots: impl IntoIterator<Item = Descriptor>,
    ) -> Result<BTreeSet<Digest>, StoreError> {
        let mut seen = BTreeSet::new();
        let mut queue: Vec<Descriptor> = roots.into_iter().collect();
        while let Some(next) = queue.pop() {
            if !seen.insert((next.digest, Role::of(&next))) {
                continue;
            }
            queue.extend(self.lists.get(&next.digest).cloned());
            queue.extend(self.named_by(&next)?.iter().cloned());
        }
        Ok(seen.into_iter().map(|(digest, _)| digest).collect())
    }

    /// What the blob names, if it is a document.
    pub(crate) fn named_by(&mut self, blob: &Descriptor) -> Result<&[Descriptor], StoreError> {
        let key = (blob.digest, Role::of(blob));
        if !self.named.contains_key(&key) {
            let named = self.read(blob)?;
            self.named.insert(key, named);
        }
        Ok(self.named.get(&key).map(Vec::as_slice).unwrap_or_default())
    }

    fn read(&self, blob: &Descriptor) -> Result<Vec<Descriptor>, StoreError> {
        let is_document = match Role::of(blob) {
            Role::Document => true,
            Role::Unknown => false,
            // Tar layers may have files copied out of them.
            Role::Leaf => {
                let files = self.store.extracted_from(&blob.digest);
                return Ok(files.into_iter().map(extracted).collect());
            }
        };
        let Some(size) = self.store.blob_size(&blob.digest) else {
            return Ok(Vec::new());
        };
        if !is_document && size > MAX_DOCUMENT_BYTES {
            return Ok(Vec::new());
        }
        let known = Descriptor::new(&blob.media_type, blob.digest, size);
        let bytes = self.store.read_document(&known)?;
        let document = match Document::parse(&bytes) {
            Ok(document) => document,
            Err(_) if !is_document => return Ok(Vec::new()),
            Err(source) => {
                let digest = blob.digest;
                return Err(StoreError::NotADocument { digest, source });
            }
        };
        Ok(match document {
            Document::Index(index) => index.manifests,
            Document::Manifest(manifest) => {
                // A malformed list links nothing; opening the module says so.
                let links = ModelLink::list(&manifest).unwrap_or_default();
                let linked = links.iter().map(|link| Descriptor::new("", link.digest, 0));
                let linked: Vec<Descriptor> = linked.collect();
                manifest
                    .layers
                    .into_iter()
                    .chain([manifest.config])
                    .chain(linked)
                    .collect()
            }
        })
    }
}
