//! Making updates: every large blob of a new version is compared with the one it comes after, and what saves bytes is kept
//! in the store as a referrer of the new manifest.

use std::io::{self, Write};
use std::sync::Arc;

use dunlin_delta::{ChunkManifest, EncodeError, EncodeOptions, FileAt, SegmentSource, encode, plan};

use super::{MIN_BYTES, Shortcut, UpdateError, Version, counterpart, is_worth};
use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::manifest::Document;
use crate::media_type;
use crate::registry::{Event, Progress};
use crate::store::{Ingest, Store, StoreError};

/// Local ranges shorter than this between two fetched ones are fetched with them: what a receiver does, too.
pub(crate) const MIN_LOCAL_BYTES: u64 = 64 << 10;

/// What was prepared for one blob.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// The manifest that names the blob.
    pub subject: Digest,
    /// The new blob.
    pub target: Descriptor,
    /// The blob of the older version that it comes after.
    pub base: Digest,
    /// Bytes of the delta; `None` when a delta saves too little.
    pub delta: Option<u64>,
    /// Bytes of the list of chunks; `None` when the versions have too few chunks in common.
    pub chunks: Option<u64>,
}

/// Compares the layers of `newer` that have at least [`MIN_BYTES`] bytes and that `older` does not have with those of
/// `older` that they come after: under the same path, else at the same place. Of indexes, all manifests are looked at.
///
/// Deltas and lists of chunks of less than 70 % of the blob are stored as referrers, by the same names each time; those that
/// are there already are not made again. Blocks for as long as the blobs take to be read twice and compressed.
///
/// # Errors
/// When the store does not have all of both versions, or cannot be written.
pub fn prepare(
    store: &Store,
    newer: &Descriptor,
    older: &Descriptor,
    progress: &Arc<dyn Progress>,
) -> Result<Vec<Prepared>, UpdateError> {
    let failed = |digest| move |source| UpdateError::Store { digest, source };
    let leased = store.lease("push of an update", &[newer.digest, older.digest]);
    let _lease = leased.map_err(failed(newer.digest))?;
    let (subjects, new) = version(store, newer)?;
    let (_, old) = version(store, older)?;
    let known = |wanted: &Digest| {
        old.0
            .iter()
            .any(|manifest| manifest.layers.iter().any(|layer| layer.digest == *wanted))
    };
    let mut prepared: Vec<Prepared> = Vec::new();
    for (place, (subject, manifest)) in subjects.iter().zip(&new.0).enumerate() {
        for (layer, target) in manifest.layers.iter().enumerate() {
            let is_done = prepared
                .iter()
                .any(|done| done.subject == subject.digest && done.target.digest == target.digest);
            if target.size < MIN_BYTES || is_compressed(&target.media_type) || known(&target.digest) || is_done {
                continue;
            }
            let Some(base) = counterpart(&new, place, layer, &old) else {
                continue;
            };
            progress.event(&Event::Comparing {
                blob: target,
                base: &base.digest,
            });
            let pair = Pair {
                store,
                subject,
                target,
                base,
            };
            prepared.push(Prepared {
                subject: subject.digest,
                target: target.clone(),
                base: base.digest,
                delta: pair.delta()?,
                chunks: pair.chunks()?,
            });
        }
    }
    Ok(prepared)
}

/// Whether two versions of such a blob have nothing in common that could be seen.
fn is_compressed(media_type: &str) -> bool {
    ["gzip", "zstd"].iter().any(|form| media_type.ends_with(form))
}

/// The manifests of an artifact, with their descriptors.
fn version(store: &Store, root: &Descriptor) -> Result<(Vec<Descriptor>, Version), UpdateError> {
    let read = |descriptor: &Descriptor| {
        let digest = descriptor.digest;
        let bytes = store
            .read_document(descriptor)
            .map_err(|source| UpdateError::Store { digest, source })?;
        Document::parse_as(&descriptor.media_type, &bytes)
            .map_err(|source| UpdateError::NotAManifest { digest, source })
    };
    let entries = match read(root)? {
        Document::Manifest(manifest) => return Ok((vec![root.clone()], Version(vec![manifest]))),
        Document::Index(index) => index.manifests,
    };
    let (mut descriptors, mut manifests) = (Vec::new(), Vec::new());
    for entry in entries {
        // What an index inside an index has cannot be pushed; pushing it says so.
        if let Document::Manifest(manifest) = read(&entry)? {
            descriptors.push(entry);
            manifests.push(manifest);
        }
    }
    Ok((descriptors, Version(manifests)))
}

/// A new blob, the one it comes after, and the manifest that names the new one.
struct Pair<'a> {
    store: &'a Store,
    subject: &'a Descriptor,
    target: &'a Descriptor,
    base: &'a Descriptor,
}

impl Pair<'_> {
    /// Makes the delta, unless it is there; returns its size if it saves enough.
    fn delta(&self) -> Result<Option<u64>, UpdateError> {
        let (target, base) = (self.target.digest, self.base.digest);
        let shortcut = Shortcut::Delta { base, target };
        if let Some(present) = self.present(shortcut)? {
            return Ok(Some(present));
        }
        let max_size = self.target.size / 100 * 70;
        let mut feed = Feed {
            ingest: self.store.ingest(max_size).map_err(self.failed(target))?,
            fault: None,
        };
        let (old, new) = (self.open(self.base)?, self.open(self.target)?);
        let options = EncodeOptions {
            max_size,
            ..EncodeOptions::default()
        };
        match encode(&old, &new, &mut feed, &options) {
            Ok(_) => {}
            Err(EncodeError::TooLong { .. }) => return Ok(None),
            Err(source) => {
                return Err(match feed.fault.take() {
                    Some(source) => UpdateError::Store { digest: target, source },
                    None => UpdateError::Delta { target, base, source },
                });
            }
        }
        if !is_worth(feed.ingest.written(), self.target.size) {
            return Ok(None);
        }
        let layer = feed.ingest.finish_any(shortcut.layer_type());
        let layer = layer.map_err(self.failed(target))?;
        self.keep(shortcut, layer).map(Some)
    }

    /// Makes the list of chunks, unless it is there; returns its size if the base has enough of the chunks.
    fn chunks(&self) -> Result<Option<u64>, UpdateError> {
        let target = self.target.digest;
        let shortcut = Shortcut::Chunks { target };
        if let Some(present) = self.present(shortcut)? {
            return Ok(Some(present));
        }
        let failed = |blob| move |source| UpdateError::Chunks { blob, source };
        let new = ChunkManifest::of(&self.open(self.target)?, None).map_err(failed(target))?;
        let old = match ChunkManifest::of(&self.open(self.base)?, Some(new.chunk_size())) {
            Ok(old) => old,
            // A base so much larger than the new blob that it has too many chunks of this size.
            Err(dunlin_delta::ChunkError::Count { .. }) => return Ok(None),
            Err(source) => return Err(failed(self.base.digest)(source)),
        };
        let mut bytes = Vec::new();
        new.write(&mut bytes).map_err(failed(target))?;
        let segments = plan(&[&old], &new, MIN_LOCAL_BYTES);
        let fetched = segments.iter().filter(|segment| segment.source == SegmentSource::Fetch);
        let fetched = fetched.map(|segment| segment.len).fold(0, u64::saturating_add);
        let len = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if !is_worth(fetched.saturating_add(len), self.target.size) {
            return Ok(None);
        }
        let layer = self.store.put_bytes(shortcut.layer_type(), &bytes);
        let layer = layer.map_err(self.failed(target))?;
        self.keep(shortcut, layer).map(Some)
    }

    /// The size of what an earlier preparation left.
    fn present(&self, shortcut: Shortcut) -> Result<Option<u64>, UpdateError> {
        let subject = self.subject.digest;
        let referrers = self.store.referrers(&subject).map_err(self.failed(subject))?;
        for referrer in referrers {
            let kind = referrer.artifact_type.as_deref().unwrap_or_default();
            if Shortcut::of(kind, &referrer.annotations) != Some(shortcut) {
                continue;
            }
            // One that cannot be read is made again.
            let bytes = self.store.read_document(&referrer).ok();
            if let Some(Document::Manifest(manifest)) = bytes.and_then(|bytes| Document::parse(&bytes).ok())
                && let Some((_, layer)) = Shortcut::read(&manifest)
                && self.store.blob_size(&layer.digest) == Some(layer.size)
            {
                return Ok(Some(layer.size));
            }
        }
        Ok(None)
    }

    /// Lists `layer` among the referrers of the manifest; returns its size.
    fn keep(&self, shortcut: Shortcut, layer: Descriptor) -> Result<u64, UpdateError> {
        let (target, size) = (self.target.digest, layer.size);
        let config = self.store.put_bytes(media_type::EMPTY, b"{}");
        let manifest = shortcut.manifest(self.subject, config.map_err(self.failed(target))?, layer);
        let bytes = serde_json::to_vec(&manifest).map_err(|source| UpdateError::Encode { target, source })?;
        let stored = self.store.put_bytes(media_type::MANIFEST, &bytes);
        let mut referrer = stored.map_err(self.failed(target))?;
        // Lists of referrers repeat type and annotations of what they list (image-spec, "Listing Referrers").
        referrer.artifact_type = manifest.artifact_type;
        referrer.annotations = manifest.annotations;
        let listed = self.store.add_referrer(&self.subject.digest, &referrer);
        listed.map_err(self.failed(target))?;
        Ok(size)
    }

    fn open(&self, blob: &Descriptor) -> Result<FileAt, UpdateError> {
        let (file, _) = self.store.open_sized(blob).map_err(self.failed(blob.digest))?;
        FileAt::new(file).map_err(|source| self.failed(blob.digest)(StoreError::io("inspect blob")(source)))
    }

    fn failed(&self, digest: Digest) -> impl Fn(StoreError) -> UpdateError + use<> {
        move |source| UpdateError::Store { digest, source }
    }
}

/// The way of a delta into the store.
struct Feed {
    ingest: Ingest,
    /// Why the store did not take it, which `io::Error` would hide.
    fault: Option<StoreError>,
}

impl Write for Feed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
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
