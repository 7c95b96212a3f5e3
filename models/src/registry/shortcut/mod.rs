//! Ways to a blob that cost less than fetching it: what the registry offers and the store has the other half of.
//!
//! Looked for after the verdict, among a bounded number of referrers. Nothing of it is trusted, and whatever goes wrong
//! here costs bytes, not the pull.

mod chunks;
mod delta;
mod local;
mod offer;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::error::PullError;
use super::fetch::Fetch;
use super::pull::Pull;
use super::transport::TransportError;
use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::store::StoreError;
use crate::update::{MIN_BYTES, Shortcut, is_worth};
use crate::verify::Verified;
pub(super) use chunks::Found;
use local::Local;
use offer::Offer;

/// How a missing blob may be had.
#[derive(Debug, Default)]
pub(super) struct Way {
    /// The smallest delta of those whose base is here.
    pub(super) delta: Option<DeltaWay>,
    /// A list of chunks, and blobs here that may have some of them.
    pub(super) chunks: Option<ChunksWay>,
}

/// A delta and its base.
#[derive(Debug, Clone)]
pub(super) struct DeltaWay {
    pub(super) base: Descriptor,
    pub(super) blob: Descriptor,
}

/// A list of chunks and the blobs to look for them in.
#[derive(Debug, Clone)]
pub(super) struct ChunksWay {
    pub(super) blob: Descriptor,
    pub(super) local: Vec<Descriptor>,
}

/// Why a way led nowhere.
#[derive(Debug, thiserror::Error)]
pub(super) enum ShortcutError {
    #[error(transparent)]
    Transport(#[from] TransportError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Delta(#[from] dunlin_delta::DecodeError),
    #[error(transparent)]
    Chunks(#[from] dunlin_delta::ChunkError),
    #[error("it is for another blob, or of another base")]
    Other,
    #[error("an older blob cannot be read")]
    Read(#[source] std::io::Error),
}

/// Tells a thread that makes a blob whether anybody still waits for it.
#[derive(Debug, Clone, Default)]
struct Stop(Arc<AtomicBool>);

impl Stop {
    fn is_asked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    fn check(&self) -> std::io::Result<()> {
        match self.is_asked() {
            true => Err(std::io::Error::other("nobody waits for it any more")),
            false => Ok(()),
        }
    }
}

/// Held by whoever waits.
struct StopOnDrop(Stop);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::Relaxed);
    }
}

impl Pull<'_> {
    /// The ways to those of `missing` that have one.
    pub(super) async fn ways(
        &self,
        fetch: &mut Fetch,
        missing: &[Verified<Descriptor>],
    ) -> Result<BTreeMap<Digest, Way>, PullError> {
        let mut ways = BTreeMap::new();
        let wanted: Vec<&Descriptor> = missing
            .iter()
            .map(|blob| &**blob)
            .filter(|blob| blob.size >= MIN_BYTES)
            .collect();
        if wanted.is_empty() || !self.options.updates {
            return Ok(ways);
        }
        let local = Local::of(self.store(), self.reference()).await;
        if local.is_empty() {
            return Ok(ways);
        }
        let offers = self.offers(fetch, &wanted).await;
        let bases = offers.iter().filter_map(|offer| match offer.shortcut {
            Shortcut::Delta { base, .. } => Some(base),
            Shortcut::Chunks { .. } => None,
        });
        let neighbours = local.neighbours(fetch, &wanted);
        // Taken before the store is asked whether it has them.
        let held = bases.chain(neighbours.values().flatten().map(|blob| blob.digest));
        fetch.leases.push(self.lease(held.collect()).await?);
        for blob in wanted {
            let way = self.way(blob, &offers, neighbours.get(&blob.digest));
            if way.delta.is_some() || way.chunks.is_some() {
                ways.insert(blob.digest, way);
            }
        }
        Ok(ways)
    }

    fn way(&self, blob: &Descriptor, offers: &[Offer], neighbours: Option<&Vec<Descriptor>>) -> Way {
        let present = |digest: Digest| {
            let size = self.store().blob_size(&digest)?;
            Some(Descriptor::new("", digest, size))
        };
        let (mut delta, mut chunks): (Option<DeltaWay>, Option<&Descriptor>) = (None, None);
        for offer in offers {
            match offer.shortcut {
                Shortcut::Delta { base, target } if target == blob.digest && is_worth(offer.layer.size, blob.size) => {
                    let is_smaller = delta.as_ref().is_none_or(|known| offer.layer.size < known.blob.size);
                    if let Some(base) = present(base).filter(|_| is_smaller) {
                        let blob = offer.layer.clone();
                        delta = Some(DeltaWay { base, blob });
                    }
                }
                Shortcut::Chunks { target } if target == blob.digest && chunks::is_short(&offer.layer, blob) => {
                    chunks = Some(&offer.layer);
                }
                Shortcut::Delta { .. } | Shortcut::Chunks { .. } => {}
            }
        }
        let local: Vec<Descriptor> = neighbours
            .into_iter()
            .flatten()
            .filter_map(|neighbour| present(neighbour.digest))
            .collect();
        Way {
            delta,
            chunks: chunks.filter(|_| !local.is_empty()).map(|list| ChunksWay {
                blob: list.clone(),
                local,
            }),
        }
    }
}
