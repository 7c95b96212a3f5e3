//! What a store has, as people list it.

use dunlin_models::{Store, manifest::Document, store::StoreError};
use serde::Serialize;

/// How deep indexes within indexes are followed; a bundle is one deep.
const MAX_DEPTH: usize = 3;

/// One tag of the store.
#[derive(Debug, Clone, Serialize)]
pub struct Listed {
    /// The tag's full name.
    pub name: String,
    /// `module`, `model`, `bundle`, or the artifact's type.
    pub kind: String,
    /// Digest of its manifest or index.
    pub digest: String,
    /// Bytes of everything it names.
    pub size_bytes: u64,
    /// Signatures and other referrers that the store keeps for it.
    pub signatures: usize,
}

/// Lists the tags of `store`, in order of name. An entry whose manifest cannot be read is listed as `broken`, since one bad
/// artifact must not hide the others.
///
/// # Errors
/// The store's index cannot be read.
pub fn list(store: &Store) -> Result<Vec<Listed>, StoreError> {
    let mut listed = Vec::new();
    for entry in store.list()? {
        let Some(name) = entry.name.clone().filter(|name| !is_referrers_tag(name)) else {
            continue;
        };
        let digest = &entry.descriptor.digest;
        let (kind, size_bytes) =
            describe(store, &entry.descriptor, MAX_DEPTH).unwrap_or_else(|_| ("broken".to_owned(), 0));
        let signatures = store.referrers(digest).map_or(0, |referrers| referrers.len());
        listed.push(Listed {
            name,
            kind,
            digest: digest.to_string(),
            size_bytes,
            signatures,
        });
    }
    listed.sort_by(|left, right| left.name.cmp(&right.name));
    Ok(listed)
}

/// Bytes of all blobs of `store`, as far as they can be counted: for progress bars.
#[must_use]
pub fn blob_bytes(store: &Store) -> u64 {
    let Ok(entries) = fs_err::read_dir(store.root().join("blobs/sha256")) else {
        return 0;
    };
    let sizes = entries.flatten().filter_map(|entry| entry.metadata().ok());
    sizes.fold(0, |total, metadata| total.saturating_add(metadata.len()))
}

/// Whether `name` is `...sha256-<hex>`: the tag under which the referrers of a digest are kept.
fn is_referrers_tag(name: &str) -> bool {
    name.rsplit(':')
        .next()
        .and_then(|tag| tag.strip_prefix("sha256-"))
        .is_some_and(|hex| hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit()))
}

fn describe(store: &Store, descriptor: &dunlin_models::Descriptor, depth: usize) -> Result<(String, u64), StoreError> {
    let bytes = store.read_document(descriptor)?;
    let Ok(document) = Document::parse(&bytes) else {
        return Ok(("broken".to_owned(), 0));
    };
    let own = descriptor.size;
    match document {
        Document::Manifest(manifest) => {
            let layers: u64 = manifest
                .layers
                .iter()
                .map(|layer| layer.size)
                .fold(0, u64::saturating_add);
            let size = own.saturating_add(manifest.config.size).saturating_add(layers);
            Ok((kind_of(manifest.kind()), size))
        }
        Document::Index(index) => {
            let mut size = own;
            if let Some(depth) = depth.checked_sub(1) {
                for child in &index.manifests {
                    size = size.saturating_add(describe(store, child, depth).map_or(0, |(_, size)| size));
                }
            }
            Ok((kind_of(index.artifact_type.as_deref().unwrap_or("index")), size))
        }
    }
}

fn kind_of(artifact_type: &str) -> String {
    match artifact_type {
        "application/vnd.wasm.config.v0+json" => "module".to_owned(),
        "application/vnd.cncf.model.manifest.v1+json" | "application/vnd.cncf.model.config.v1+json" => {
            "model".to_owned()
        }
        "application/vnd.dunlin.bundle.v1+json" => "bundle".to_owned(),
        other => other.to_owned(),
    }
}
