//! [`Shelf`]: what a registry holds, in memory, so that a test can change any of it.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// Blobs by digest and the tag's digest. Bytes need not fit the digest that they stand under: that is the point.
#[derive(Debug, Clone, Default)]
pub struct Shelf {
    blobs: BTreeMap<String, Arc<Vec<u8>>>,
    tag: String,
}

impl Shelf {
    /// Everything of an OCI layout folder, with the tag on the entry called `name`.
    ///
    /// # Panics
    /// The folder is no layout, or has no such entry.
    #[must_use]
    pub fn of_layout(folder: &Path, name: &str) -> Self {
        let index = fs_err::read(folder.join("index.json")).expect("a layout");
        let index: Value = serde_json::from_slice(&index).expect("a layout's index");
        let entries = index["manifests"].as_array().expect("entries");
        let named = entries
            .iter()
            .find(|entry| entry["annotations"]["org.opencontainers.image.ref.name"] == name);
        let mut shelf = Self {
            tag: text(&named.expect("the entry")["digest"]),
            ..Self::default()
        };
        for entry in fs_err::read_dir(folder.join("blobs/sha256")).expect("blobs").flatten() {
            shelf.put(fs_err::read(entry.path()).expect("a blob"));
        }
        shelf
    }

    /// Adds bytes under their own digest, and returns it.
    pub fn put(&mut self, bytes: impl Into<Vec<u8>>) -> String {
        let bytes = bytes.into();
        let digest = digest_of(&bytes);
        self.blobs.insert(digest.clone(), Arc::new(bytes));
        digest
    }

    /// Puts other bytes where those of `digest` were.
    pub fn rot(&mut self, digest: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = self.bytes(digest).to_vec();
        change(&mut bytes);
        self.blobs.insert(digest.to_owned(), Arc::new(bytes));
    }

    /// Takes a blob away.
    pub fn remove(&mut self, digest: &str) {
        self.blobs.remove(digest);
    }

    /// Moves the tag.
    pub fn tag(&mut self, digest: &str) {
        digest.clone_into(&mut self.tag);
    }

    /// What stands on it.
    pub fn digests(&self) -> impl Iterator<Item = &str> {
        self.blobs.keys().map(String::as_str)
    }

    /// The digest that the tag names.
    #[must_use]
    pub fn tagged(&self) -> &str {
        &self.tag
    }

    /// The bytes under a digest.
    ///
    /// # Panics
    /// There are none.
    #[must_use]
    pub fn bytes(&self, digest: &str) -> &[u8] {
        self.blobs.get(digest).expect("a blob of the shelf")
    }

    /// The bytes under a digest, where there are some.
    #[must_use]
    pub fn find(&self, digest: &str) -> Option<&[u8]> {
        self.blobs.get(digest).map(|bytes| bytes.as_slice())
    }

    /// The document under a digest.
    ///
    /// # Panics
    /// It is no JSON.
    #[must_use]
    pub fn document(&self, digest: &str) -> Value {
        serde_json::from_slice(self.bytes(digest)).expect("a document")
    }

    /// Digests of the manifests whose subject is `digest`.
    #[must_use]
    pub fn referrers(&self, digest: &str) -> Vec<String> {
        let manifests = self.blobs.iter().filter_map(|(name, bytes)| {
            let document: Value = serde_json::from_slice(bytes).ok()?;
            (document["subject"]["digest"] == digest).then(|| name.clone())
        });
        manifests.collect()
    }

    /// Digests of what a manifest or an index and the manifests below it list as layers.
    #[must_use]
    pub fn layers(&self, digest: &str) -> Vec<String> {
        let document = self.document(digest);
        let below = document["manifests"].as_array().into_iter().flatten();
        let below = below.flat_map(|entry| self.layers(&text(&entry["digest"])));
        let own = document["layers"].as_array().into_iter().flatten();
        own.map(|layer| text(&layer["digest"])).chain(below).collect()
    }

    /// Attaches a bundle to `subject` as cosign and dunlin do, and returns the digest of the manifest that refers.
    pub fn attach(&mut self, subject: &str, bundle: &[u8]) -> String {
        const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
        let (layer, config) = (self.put(bundle), self.put("{}"));
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "artifactType": BUNDLE,
            "config": { "mediaType": "application/vnd.oci.empty.v1+json", "digest": config, "size": 2 },
            "layers": [{ "mediaType": BUNDLE, "digest": layer, "size": bundle.len() }],
            "subject": self.descriptor(subject),
            "annotations": {
                "dev.sigstore.bundle.content": "dsse-envelope",
                "dev.sigstore.bundle.predicateType": "https://sigstore.dev/cosign/sign/v1",
            },
        });
        self.put(manifest.to_string())
    }

    /// The descriptor of a manifest.
    #[must_use]
    pub fn descriptor(&self, digest: &str) -> Value {
        let document = self.document(digest);
        let mut descriptor = json!({
            "mediaType": document["mediaType"],
            "digest": digest,
            "size": self.bytes(digest).len(),
        });
        for key in ["artifactType", "annotations"] {
            if !document[key].is_null() {
                descriptor[key] = document[key].clone();
            }
        }
        descriptor
    }
}

/// `sha256:<hex>` of bytes.
#[must_use]
pub fn digest_of(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}
