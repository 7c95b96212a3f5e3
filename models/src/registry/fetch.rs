//! [`Fetch`]: what a pull has so far, and how config and layers come into the store once the verdict is there.

use std::collections::BTreeMap;

use futures::{StreamExt as _, TryStreamExt as _};
use tokio::sync::Semaphore;

use super::download::{Arrival, DownloadError, Downloads};
use super::error::PullError;
use super::progress::Event;
use super::pull::Pull;
use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::manifest::Manifest;
use crate::store::{Lease, StoreError};
use crate::verify::Verified;

/// Blobs fetched at a time.
const PARALLEL: usize = 4;

/// What a pull has so far.
pub(super) struct Fetch {
    pub(super) root: Verified<Descriptor>,
    pub(super) manifests: Vec<Verified<Manifest>>,
    /// All documents with their bytes: those of `manifests` in the same order, and the index, if there is one.
    pub(super) documents: Vec<(Descriptor, Vec<u8>)>,
    pub(super) fetched: usize,
    pub(super) reused: usize,
    pub(super) bytes: u64,
    pub(super) saved: u64,
    pub(super) linked: Vec<Verified<Descriptor>>,
    pub(super) unresolved: Vec<String>,
    /// Keep all of it from the garbage collector until the tag names it.
    pub(super) leases: Vec<Lease>,
}

impl Fetch {
    pub(super) fn new(
        root: Verified<Descriptor>,
        manifests: Vec<Verified<Manifest>>,
        documents: Vec<(Descriptor, Vec<u8>)>,
    ) -> Self {
        Self {
            root,
            manifests,
            documents,
            fetched: 0,
            reused: 0,
            bytes: 0,
            saved: 0,
            linked: Vec::new(),
            unresolved: Vec::new(),
            leases: Vec::new(),
        }
    }

    fn count(&mut self, arrival: Arrival) {
        if arrival.is_reused {
            self.reused += 1;
        } else {
            self.fetched += 1;
        }
        self.bytes = self.bytes.saturating_add(arrival.fetched_bytes);
        self.saved = self.saved.saturating_add(arrival.saved_bytes);
    }
}

impl Pull<'_> {
    /// Brings config and layers of all manifests into the store.
    pub(super) async fn blobs(&self, fetch: &mut Fetch) -> Result<(), PullError> {
        let mut wanted = BTreeMap::new();
        for manifest in &fetch.manifests {
            for blob in manifest.layer_blobs().into_iter().chain([manifest.config_blob()]) {
                wanted.entry(blob.digest).or_insert(blob);
            }
        }
        let total = wanted.values().fold(0_u64, |sum, blob| sum.saturating_add(blob.size));
        self.check_total(total, self.options.max_bytes.unwrap_or(u64::MAX))?;
        let documents = fetch.documents.iter().map(|(document, _)| document.digest);
        let lease = self.lease(wanted.keys().copied().chain(documents).collect()).await?;
        fetch.leases.push(lease);
        let progress = self.options.progress.as_ref();
        let has = |blob: &Verified<Descriptor>| self.store().blob_size(&blob.digest) == Some(blob.size);
        let (present, missing): (Vec<_>, Vec<_>) = wanted.into_values().partition(has);
        for blob in &present {
            progress.event(&Event::Done { blob, reused: true });
        }
        fetch.reused = fetch.reused.saturating_add(present.len());
        let ways = self.ways(fetch, &missing).await?;
        let (alive, mut ended) = tokio::sync::mpsc::channel(1);
        let downloads = Downloads {
            store: self.store(),
            progress,
            streams: Semaphore::new(self.route.transfer().streams.max(1)),
            rebuilds: Semaphore::new(1),
            alive,
        };
        let (route, downloads_ref, ways_ref) = (&self.route, &downloads, &ways);
        let outcome: Result<Vec<Arrival>, PullError> = futures::stream::iter(missing)
            .map(|blob| async move {
                let digest = blob.digest;
                let fetched = downloads_ref.fetch(route, &blob, ways_ref.get(&digest)).await;
                fetched.map_err(|error| match error {
                    DownloadError::Transport(source) => PullError::Blob { digest, source },
                    DownloadError::Store(source) => PullError::Keep { digest, source },
                })
            })
            .buffer_unordered(PARALLEL)
            .try_collect()
            .await;
        // The first failure drops the other transfers; their writers still have to take back what they wrote.
        drop(downloads);
        while ended.recv().await.is_some() {}
        for arrival in outcome? {
            fetch.count(arrival);
        }
        Ok(())
    }

    /// Keeps `digests` from the garbage collector. Taken before the store is asked what it has.
    pub(super) async fn lease(&self, digests: Vec<Digest>) -> Result<Lease, PullError> {
        let (store, holder) = (self.store().clone(), format!("pull of {}", self.reference()));
        let lease = tokio::task::spawn_blocking(move || store.lease(&holder, &digests)).await;
        let lease = lease.unwrap_or_else(|error| Err(StoreError::io("take lease")(std::io::Error::other(error))));
        lease.map_err(|source| PullError::Store {
            reference: self.reference().clone(),
            source,
        })
    }
}
