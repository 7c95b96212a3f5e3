//! What the store has of the same repository: where chunks of a new version are looked for. It only guides the search.

use std::collections::BTreeMap;

use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::manifest::{Document, Manifest};
use crate::reference::Reference;
use crate::registry::fetch::Fetch;
use crate::store::Store;
use crate::update::{MIN_BYTES, Version, counterpart};

/// Versions of a repository that are looked at.
const MAX_VERSIONS: usize = 8;
/// Manifests of one version that are looked at.
const MAX_MANIFESTS: usize = 64;
/// Older blobs that one new blob is compared with: each is read whole.
const MAX_NEIGHBOURS: usize = 2;

/// The versions of a repository that the store has.
#[derive(Debug, Default)]
pub(super) struct Local {
    /// The one under the same tag first, then the others, the youngest first.
    versions: Vec<Version>,
    has_others: bool,
}

impl Local {
    /// Looks into `store`. What cannot be read is not there.
    pub(super) async fn of(store: &Store, reference: &Reference) -> Self {
        let (store, reference) = (store.clone(), reference.clone());
        let looked = tokio::task::spawn_blocking(move || Self::look(&store, &reference));
        looked.await.unwrap_or_default()
    }

    fn look(store: &Store, reference: &Reference) -> Self {
        let entries = store.list().unwrap_or_default();
        let has_others = !entries.is_empty();
        let name = reference.tagged();
        let mut roots: Vec<(bool, Descriptor)> = Vec::new();
        for entry in entries.into_iter().rev() {
            let Some(known) = entry.reference() else { continue };
            let is_same = known.registry() == reference.registry() && known.repository() == reference.repository();
            if is_same && !roots.iter().any(|(_, root)| root.digest == entry.descriptor.digest) {
                roots.push((known.tagged() != name, entry.descriptor));
            }
        }
        // Stable: the youngest stay first among equals.
        roots.sort_by_key(|(is_other, _)| *is_other);
        roots.truncate(MAX_VERSIONS);
        Self {
            versions: roots.iter().map(|(_, root)| version(store, root)).collect(),
            has_others,
        }
    }

    /// Whether the store has nothing that could help, not even under other names.
    pub(super) fn is_empty(&self) -> bool {
        !self.has_others
    }

    /// The older blobs that each of `wanted` comes after, the likeliest first.
    pub(super) fn neighbours(&self, fetch: &Fetch, wanted: &[&Descriptor]) -> BTreeMap<Digest, Vec<Descriptor>> {
        let newer = Version(fetch.manifests.iter().map(|manifest| (**manifest).clone()).collect());
        let mut found: BTreeMap<Digest, Vec<Descriptor>> = BTreeMap::new();
        for (place, manifest) in newer.0.iter().enumerate() {
            for (layer, blob) in manifest.layers.iter().enumerate() {
                if !wanted.iter().any(|wanted| wanted.digest == blob.digest) {
                    continue;
                }
                let known = found.entry(blob.digest).or_default();
                for older in &self.versions {
                    let Some(neighbour) = counterpart(&newer, place, layer, older) else {
                        continue;
                    };
                    let is_new = !known.iter().any(|known| known.digest == neighbour.digest);
                    if is_new && neighbour.size >= MIN_BYTES && known.len() < MAX_NEIGHBOURS {
                        known.push(neighbour.clone());
                    }
                }
            }
        }
        found
    }
}

fn version(store: &Store, root: &Descriptor) -> Version {
    let read = |descriptor: &Descriptor| {
        let bytes = store.read_document(descriptor).ok()?;
        Document::parse(&bytes).ok()
    };
    let manifest = |descriptor: &Descriptor| match read(descriptor)? {
        Document::Manifest(manifest) => Some(manifest),
        Document::Index(_) => None,
    };
    let manifests: Vec<Manifest> = match read(root) {
        Some(Document::Manifest(manifest)) => vec![manifest],
        Some(Document::Index(index)) => index
            .manifests
            .iter()
            .take(MAX_MANIFESTS)
            .filter_map(manifest)
            .collect(),
        None => Vec::new(),
    };
    Version(manifests)
}
