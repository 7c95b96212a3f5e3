//! Pushing: blobs, then manifests, then signatures, and the tag last, so that it never names something incomplete.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use futures::{StreamExt as _, TryStreamExt as _};

use super::Registry;
use super::error::PushError;
use super::progress::{NoProgress, Progress};
use super::remote::Remote;
use super::upload::UploadError;
use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::manifest::{Document, Manifest};
use crate::media_type;
use crate::reference::Reference;
use crate::store::{Store, StoreError};

/// Blobs sent at a time.
const PARALLEL: usize = 4;

/// How to push.
#[derive(Clone)]
pub struct PushOptions {
    /// Whether what refers to the artifact (its signatures) goes along.
    pub referrers: bool,
    /// Who watches.
    pub progress: Arc<dyn Progress>,
}

impl Default for PushOptions {
    fn default() -> Self {
        Self {
            referrers: true,
            progress: Arc::new(NoProgress),
        }
    }
}

impl fmt::Debug for PushOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PushOptions")
            .field("referrers", &self.referrers)
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
    /// Bytes of the blobs sent.
    pub bytes: u64,
    /// Signatures and other referrers sent.
    pub referrers: usize,
}

/// A manifest or index of the store, with its bytes.
struct Part {
    descriptor: Descriptor,
    bytes: Vec<u8>,
    document: Document,
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
        let target = Remote::of(&self.http, remote)
            .ok_or_else(|| PushError::NoRegistry {
                reference: remote.clone(),
            })?
            .map_err(|source| PushError::Manifest {
                digest: root.digest,
                source,
            })?;
        let mut push = Push {
            remote: target,
            store,
            local,
            options,
            report: PushReport {
                descriptor: root.clone(),
                sent: 0,
                reused: 0,
                bytes: 0,
                referrers: 0,
            },
        };
        let parts = push.parts(&root)?;
        push.blobs(&parts).await?;
        for part in &parts {
            push.put(&part.descriptor.digest.to_string(), part).await?;
        }
        if push.options.referrers {
            for part in &parts {
                push.referrers(&part.descriptor).await?;
            }
        }
        if let (Some(tag), Some(root)) = (remote.tag(), parts.last()) {
            push.put(tag, root).await?;
        }
        Ok(push.report)
    }
}

struct Push<'a> {
    remote: Remote,
    store: &'a Store,
    local: &'a Reference,
    options: PushOptions,
    report: PushReport,
}

impl Push<'_> {
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
            .map_err(|source| self.failed(source))?;
        let document =
            Document::parse_as(&descriptor.media_type, &bytes).map_err(|source| PushError::NotAManifest {
                digest: descriptor.digest,
                source,
            })?;
        Ok(Part {
            descriptor: descriptor.clone(),
            bytes,
            document,
        })
    }

    /// Sends config and layers of all manifests in `parts`.
    async fn blobs(&mut self, parts: &[Part]) -> Result<(), PushError> {
        let mut wanted = BTreeMap::new();
        for part in parts {
            let Document::Manifest(Manifest { config, layers, .. }) = &part.document else {
                continue;
            };
            for blob in layers.iter().chain([config]) {
                wanted.entry(blob.digest).or_insert_with(|| blob.clone());
            }
        }
        let (remote, store, progress) = (&self.remote, self.store, &self.options.progress);
        let outcomes: Vec<(bool, u64)> = futures::stream::iter(wanted.into_values())
            .map(|blob| async move {
                let digest = blob.digest;
                let reused = remote
                    .upload(store, &blob, progress)
                    .await
                    .map_err(|error| match error {
                        UploadError::Transport(source) => PushError::Blob { digest, source },
                        UploadError::Store(source) => PushError::Read { digest, source },
                    })?;
                Ok((reused, blob.size))
            })
            .buffer_unordered(PARALLEL)
            .try_collect()
            .await?;
        for (reused, size) in outcomes {
            if reused {
                self.report.reused += 1;
            } else {
                self.report.sent += 1;
                self.report.bytes = self.report.bytes.saturating_add(size);
            }
        }
        Ok(())
    }

    /// Sends a document; returns whether the registry tracks its subject.
    async fn put(&self, name: &str, part: &Part) -> Result<bool, PushError> {
        let Descriptor { media_type, digest, .. } = &part.descriptor;
        let sent = self.remote.put_manifest(name, media_type, &part.bytes).await;
        sent.map_err(|source| PushError::Manifest {
            digest: *digest,
            source,
        })
    }

    /// Sends what refers to `subject`, and lists it under the fallback tag where the registry does not list it itself.
    async fn referrers(&mut self, subject: &Descriptor) -> Result<(), PushError> {
        let mut unlisted = Vec::new();
        for referrer in self
            .store
            .referrers(&subject.digest)
            .map_err(|source| self.failed(source))?
        {
            let part = self.part(&referrer)?;
            let counts = (self.report.sent, self.report.reused, self.report.bytes);
            self.blobs(std::slice::from_ref(&part)).await?;
            // The report counts the artifact's own blobs only.
            (self.report.sent, self.report.reused, self.report.bytes) = counts;
            if !self.put(&part.descriptor.digest.to_string(), &part).await? {
                unlisted.push(referrer);
            }
            self.report.referrers += 1;
        }
        self.list(&subject.digest, unlisted).await
    }

    async fn list(&self, subject: &Digest, referrers: Vec<Descriptor>) -> Result<(), PushError> {
        if referrers.is_empty() {
            return Ok(());
        }
        let failed = |source| PushError::Referrers {
            subject: *subject,
            source,
        };
        let mut list = self.remote.referrers_tag(subject).await.map_err(failed)?;
        let before = list.manifests.len();
        for referrer in referrers {
            if !list.manifests.iter().any(|known| known.digest == referrer.digest) {
                list.manifests.push(referrer);
            }
        }
        if list.manifests.len() == before {
            return Ok(());
        }
        let encode = |source| StoreError::Encode {
            what: "the list of referrers",
            source,
        };
        let bytes = serde_json::to_vec(&list)
            .map_err(encode)
            .map_err(|source| self.failed(source))?;
        let sent = self
            .remote
            .put_manifest(&subject.referrers_tag(), media_type::INDEX, &bytes)
            .await;
        sent.map(drop).map_err(failed)
    }

    fn failed(&self, source: StoreError) -> PushError {
        PushError::Store {
            reference: self.local.clone(),
            source,
        }
    }
}
