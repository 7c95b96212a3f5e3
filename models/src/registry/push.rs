//! Pushing: blobs, then manifests, then signatures, and the tag last, so that it never names something incomplete.

use std::fmt;
use std::sync::Arc;

use super::Registry;
use super::error::PushError;
use super::progress::{NoProgress, Progress};
use super::publish::{Origin, Part, Publisher};
use super::route::Route;
use crate::descriptor::Descriptor;
use crate::manifest::Document;
use crate::reference::Reference;
use crate::store::Store;
use crate::verify::legacy_tag;

/// How to push.
#[derive(Clone)]
pub struct PushOptions {
    /// Whether what refers to the artifact (its signatures) goes along.
    pub referrers: bool,
    /// Repositories of the same registry that may have the blobs, so that nothing needs to be sent. Those under whose names
    /// the store has the same artifact are asked in any case.
    pub mount_from: Vec<String>,
    /// Who watches.
    pub progress: Arc<dyn Progress>,
}

impl Default for PushOptions {
    fn default() -> Self {
        Self {
            referrers: true,
            mount_from: Vec::new(),
            progress: Arc::new(NoProgress),
        }
    }
}

impl fmt::Debug for PushOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PushOptions")
            .field("referrers", &self.referrers)
            .field("mount_from", &self.mount_from)
            .finish_non_exhaustive()
    }
}

/// What a push did.
#[derive(Debug, Clone)]
pub struct PushReport {
    /// The artifact.
    pub descriptor: Descriptor,
    /// Blobs sent.
    pub sent: usize,
    /// Blobs that the registry already had.
    pub reused: usize,
    /// Blobs that the registry took over from another repository.
    pub mounted: usize,
    /// Bytes of the blobs sent.
    pub bytes: u64,
    /// Signatures and other referrers sent.
    pub referrers: usize,
}

impl Registry {
    /// Pushes what `local` names in `store` to `remote`.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the remote tag as it was; blobs and manifests sent by then stay and are reused.
    ///
    /// # Errors
    /// When the store does not have the whole artifact, or the registry does not take it within the retries.
    pub async fn push(
        &self,
        store: &Store,
        local: &Reference,
        remote: &Reference,
        options: PushOptions,
    ) -> Result<PushReport, PushError> {
        let failed = |source| PushError::Store {
            reference: local.clone(),
            source,
        };
        let root = store.resolve(local).map_err(failed)?;
        if remote.digest().is_some_and(|digest| *digest != root.digest) {
            return Err(PushError::OtherDigest {
                reference: remote.clone(),
                digest: root.digest,
            });
        }
        let no_registry = || PushError::NoRegistry {
            reference: remote.clone(),
        };
        let route = Route::to(&self.http, remote).ok_or_else(no_registry)?;
        let route = route.map_err(|source| PushError::Manifest {
            digest: root.digest,
            source,
        })?;
        let target = route.target().ok_or_else(no_registry)?.clone();
        let reader = Reader { store, local };
        let mounts = mounts(store, remote, &root, &options.mount_from);
        let origin = Origin::Store(store.clone());
        let mut publisher = Publisher::new(target, origin, mounts, &options.progress);
        let parts = reader.parts(&root)?;
        publisher.blobs(&parts).await?;
        let counts = publisher.counts;
        for part in &parts {
            publisher.put(&part.descriptor.digest.to_string(), part).await?;
        }
        let mut referrers = 0;
        if options.referrers {
            for part in &parts {
                let subject = part.descriptor.digest;
                let mut listed = Vec::new();
                for referrer in store.referrers(&subject).map_err(failed)? {
                    let part = reader.part(&referrer)?;
                    referrers += 1;
                    match legacy_tag(&subject, &referrer) {
                        Some(tag) => publisher.attach_as(tag, &part).await?,
                        None => {
                            publisher.attach(&part).await?;
                            listed.push(referrer);
                        }
                    }
                }
                publisher.list(&subject, &listed).await?;
            }
        }
        if let (Some(tag), Some(root)) = (remote.tag(), parts.last()) {
            publisher.put(tag, root).await?;
        }
        Ok(PushReport {
            descriptor: root,
            sent: counts.sent,
            reused: counts.reused,
            mounted: counts.mounted,
            bytes: counts.bytes,
            referrers,
        })
    }
}

/// Repositories of the registry of `remote` that may have the blobs of `root`.
fn mounts(store: &Store, remote: &Reference, root: &Descriptor, given: &[String]) -> Vec<String> {
    let mut mounts = given.to_vec();
    // A store that cannot be listed merely gives no ideas.
    for entry in store.list().unwrap_or_default() {
        let known = entry.reference().filter(|_| entry.descriptor.digest == root.digest);
        if let Some(known) = known.filter(|known| known.registry() == remote.registry()) {
            mounts.push(known.repository().to_owned());
        }
    }
    mounts.retain(|mount| mount != remote.repository());
    mounts.dedup();
    mounts
}

/// Reads the artifact from the store.
struct Reader<'a> {
    store: &'a Store,
    local: &'a Reference,
}

impl Reader<'_> {
    /// The documents of the artifact, children before their index.
    fn parts(&self, root: &Descriptor) -> Result<Vec<Part>, PushError> {
        let root = self.part(root)?;
        let mut parts = Vec::new();
        if let Document::Index(index) = &root.document {
            for entry in &index.manifests {
                let part = self.part(entry)?;
                if matches!(part.document, Document::Index(_)) {
                    return Err(PushError::NestedIndex { entry: entry.digest });
                }
                parts.push(part);
            }
        }
        parts.push(root);
        Ok(parts)
    }

    fn part(&self, descriptor: &Descriptor) -> Result<Part, PushError> {
        let bytes = self
            .store
            .read_document(descriptor)
            .map_err(|source| PushError::Store {
                reference: self.local.clone(),
                source,
            })?;
        Part::new(descriptor.clone(), bytes)
    }
}
