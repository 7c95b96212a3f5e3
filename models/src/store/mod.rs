//! The content store: an OCI image layout that several processes use at once.
//!
//! Blobs lie under `blobs/sha256/`, tags in `index.json`, unfinished writes in `ingest/`. What [`Store::open_blob`] hands
//! out has been hashed there and then; the store never trusts that a file still has the bytes it was written with.

pub mod archive;
mod blob;
mod error;
mod extents;
mod extract;
mod fsck;
mod gate;
mod gc;
pub(crate) mod graph;
mod ingest;
mod lease;
mod map;
mod partial;
mod pins;
mod referrers;
mod space;
mod tags;
mod used;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use blob::Blob;
pub use error::StoreError;
pub(crate) use error::chain;
pub use extract::{ExtractError, PackedFile};
pub use fsck::{Damage, FsckReport, MendReport};
pub use gc::{Evict, GcOptions, GcPlan, GcReport};
pub use ingest::Ingest;
pub use lease::{Lease, LeaseInfo};
pub(crate) use partial::{Claim, Partial, Writer};
pub use tags::Entry;

use crate::digest::Digest;
use crate::manifest::Index;

const LAYOUT_VERSION: &str = "1.0.0";
/// Largest `oci-layout` file that is looked at; a valid one has 30 bytes.
const MAX_LAYOUT_BYTES: u64 = 4096;

/// A folder of blobs and tags. Cloning is cheap, and clones are the same store.
#[derive(Debug, Clone)]
pub struct Store(Arc<Place>);

#[derive(Debug)]
struct Place {
    root: PathBuf,
    writable: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct LayoutFile {
    image_layout_version: String,
}

impl Store {
    /// Opens the store at `root`; with `create`, makes it if it is not there.
    ///
    /// # Errors
    /// When the folder is no image layout, has links where folders belong, or cannot be made.
    pub fn open(root: &Path, create: bool) -> Result<Self, StoreError> {
        let store = Self(Arc::new(Place {
            root: root.to_owned(),
            writable: true,
        }));
        if create && !store.layout_path().exists() {
            store.create()?;
        }
        store.check_layout()?;
        store.sweep_ingest();
        Ok(store)
    }

    /// Opens an image layout that another tool made (skopeo, oras, cosign), for reading only.
    ///
    /// # Errors
    /// When the folder is no image layout.
    pub fn open_layout(root: &Path) -> Result<Self, StoreError> {
        let store = Self(Arc::new(Place {
            root: root.to_owned(),
            writable: false,
        }));
        store.check_layout()?;
        Ok(store)
    }

    /// The folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.0.root
    }

    /// Whether blobs and tags can be added.
    #[must_use]
    pub fn is_writable(&self) -> bool {
        self.0.writable
    }

    fn create(&self) -> Result<(), StoreError> {
        for folder in [self.blobs_path(), self.ingest_path()] {
            fs_err::create_dir_all(folder).map_err(StoreError::io("create store"))?;
        }
        let _lock = self.lock_index()?;
        if self.layout_path().exists() {
            // Another process was first.
            return Ok(());
        }
        if !self.index_path().exists() {
            self.write_index(&Index::new(Vec::new()))?;
        }
        let layout = LayoutFile {
            image_layout_version: LAYOUT_VERSION.to_owned(),
        };
        let bytes = serde_json::to_vec(&layout).map_err(|source| StoreError::Encode {
            what: "the layout file",
            source,
        })?;
        // Written last: a folder with this file has all the others.
        self.replace(&self.layout_path(), &bytes)
    }

    fn check_layout(&self) -> Result<(), StoreError> {
        let not_a_store = || StoreError::NotAStore {
            path: self.root().to_owned(),
        };
        let path = self.layout_path();
        let metadata = fs_err::symlink_metadata(&path).map_err(|_| not_a_store())?;
        if !metadata.is_file() || metadata.len() > MAX_LAYOUT_BYTES {
            return Err(not_a_store());
        }
        let bytes = fs_err::read(&path).map_err(StoreError::io("read layout file"))?;
        match serde_json::from_slice::<LayoutFile>(&bytes) {
            Ok(layout) if layout.image_layout_version == LAYOUT_VERSION => {}
            _ => return Err(StoreError::LayoutVersion { path }),
        }
        let blobs = self.blobs_path();
        for folder in [blobs.parent().unwrap_or(&blobs), &blobs] {
            let is_folder = fs_err::symlink_metadata(folder).is_ok_and(|metadata| metadata.is_dir());
            is_folder.then_some(()).ok_or_else(not_a_store)?;
        }
        Ok(())
    }

    fn check_writable(&self) -> Result<(), StoreError> {
        self.is_writable().then_some(()).ok_or_else(|| StoreError::ReadOnly {
            path: self.root().to_owned(),
        })
    }

    /// Makes a rename in `folder` survive a power cut.
    fn sync_folder(&self, folder: &Path) -> Result<(), StoreError> {
        let folder = fs_err::File::open(folder).map_err(StoreError::io("open folder"))?;
        folder.sync_all().map_err(StoreError::io("write folder to disk"))
    }

    pub(crate) fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.blobs_path().join(digest.hex())
    }

    fn blobs_path(&self) -> PathBuf {
        self.root().join("blobs").join("sha256")
    }

    /// Files taken out of layers, by the layer's digest.
    fn extracted_path(&self) -> PathBuf {
        self.root().join("extracted")
    }

    fn ingest_path(&self) -> PathBuf {
        self.root().join("ingest")
    }

    fn index_path(&self) -> PathBuf {
        self.root().join("index.json")
    }

    fn layout_path(&self) -> PathBuf {
        self.root().join("oci-layout")
    }
}
