//! Putting an artifact into a repository: blobs, then manifests, then lists of referrers. Where the blobs come from is
//! the caller's: the store for a push, another registry for a copy.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::{StreamExt as _, TryStreamExt as _};

use super::content::Content;
use super::error::PushError;
use super::progress::Progress;
use super::remote::Remote;
use super::route::Route;
use super::upload::{Arrival, UploadError};
use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::manifest::{Document, Manifest};
use crate::store::Store;

/// A manifest or index, with its bytes.
pub(super) struct Part {
    pub(super) descriptor: Descriptor,
    pub(super) bytes: Vec<u8>,
    pub(super) document: Document,
}

impl Part {
    /// The document that `descriptor` names; its bytes have been checked.
    pub(super) fn new(descriptor: Descriptor, bytes: Vec<u8>) -> Result<Self, PushError> {
        let document =
            Document::parse_as(&descriptor.media_type, &bytes).map_err(|source| PushError::NotAManifest {
                digest: descriptor.digest,
                source,
            })?;
        Ok(Self {
            descriptor,
            bytes,
            document,
        })
    }
}

/// Where blobs come from.
pub(super) enum Origin {
    Store(Store),
    Registry(Route),
}

/// What became of blobs.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    pub(super) sent: usize,
    pub(super) reused: usize,
    pub(super) mounted: usize,
    pub(super) bytes: u64,
}

pub(super) struct Publisher {
    remote: Remote,
    origin: Origin,
    mounts: Vec<String>,
    progress: Arc<dyn Progress>,
    pub(super) counts: Counts,
}

impl Publisher {
    pub(super) fn new(remote: Remote, origin: Origin, mounts: Vec<String>, progress: &Arc<dyn Progress>) -> Self {
        Self {
            remote,
            origin,
            mounts,
            progress: Arc::clone(progress),
            counts: Counts::default(),
        }
    }

    /// Sends config and layers of all manifests in `parts`.
    pub(super) async fn blobs(&mut self, parts: &[Part]) -> Result<(), PushError> {
        let mut wanted = BTreeMap::new();
        for part in parts {
            let Document::Manifest(Manifest { config, layers, .. }) = &part.document else {
                continue;
            };
            for blob in layers.iter().chain([config]) {
                wanted.entry(blob.digest).or_insert_with(|| blob.clone());
            }
        }
        let this = &*self;
        let uploads = this.remote.http.config().transfer.uploads.max(1);
        let outcomes: Vec<(Arrival, u64)> = futures::stream::iter(wanted.into_values())
            .map(|blob| this.blob(blob))
            .buffer_unordered(uploads)
            .try_collect()
            .await?;
        for (arrival, size) in outcomes {
            match arrival {
                Arrival::Present => self.counts.reused += 1,
                Arrival::Mounted => self.counts.mounted += 1,
                Arrival::Sent => {
                    self.counts.sent += 1;
                    self.counts.bytes = self.counts.bytes.saturating_add(size);
                }
            }
        }
        Ok(())
    }

    async fn blob(&self, blob: Descriptor) -> Result<(Arrival, u64), PushError> {
        let (digest, size) = (blob.digest, blob.size);
        let content = match &self.origin {
            Origin::Store(store) => Content::Stored(store.clone(), blob),
            Origin::Registry(route) => Content::Remote(route.clone(), blob),
        };
        let arrival = self.remote.upload(&content, &self.mounts, &self.progress).await;
        let arrival = arrival.map_err(|error| match error {
            UploadError::Transport(source) => PushError::Blob { digest, source },
            UploadError::Store(source) => PushError::Read { digest, source },
        })?;
        Ok((arrival, size))
    }

    /// Sends a document under a tag or its digest.
    pub(super) async fn put(&self, name: &str, part: &Part) -> Result<(), PushError> {
        let Descriptor { media_type, digest, .. } = &part.descriptor;
        let sent = self.remote.put_manifest(name, media_type, &part.bytes).await;
        sent.map(drop).map_err(|source| PushError::Manifest {
            digest: *digest,
            source,
        })
    }

    /// Sends a referrer with its blobs.
    pub(super) async fn attach(&mut self, part: &Part) -> Result<(), PushError> {
        self.attach_as(&part.descriptor.digest.to_string(), part).await
    }

    /// The same under a tag.
    pub(super) async fn attach_as(&mut self, name: &str, part: &Part) -> Result<(), PushError> {
        self.blobs(std::slice::from_ref(part)).await?;
        self.put(name, part).await
    }

    /// Lists `referrers` under the fallback tag of `subject`, also where the registry keeps a list of its own: clients
    /// and copies that know only one of the two find them.
    pub(super) async fn list(&self, subject: &Digest, referrers: &[Descriptor]) -> Result<(), PushError> {
        let listed = self.remote.list_referrers(subject, referrers).await;
        listed.map_err(|source| PushError::Referrers {
            subject: *subject,
            source,
        })
    }
}
