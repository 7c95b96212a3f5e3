//! Packing: from files to artifacts in the store, in the layouts that other tools of the field read.
//!
//! Equal input gives equal digests, bit for bit: no clock, no host name, no order of a hash map. Precompiled code is
//! never packed.

mod error;

mod component;
mod module;

mod external;
mod folder;
pub mod metadata;
mod model;
mod recognise;

mod bundle;
mod fat;
mod image;

use serde::Serialize;

pub use bundle::pack_bundle;
pub use error::PackError;
pub use fat::pack_fat;
pub use image::{ImageSpec, pack_image};
pub use model::{ModelFileSpec, ModelSpec, model_layers, pack_model, packed_model_layers};
pub use module::{ModuleSpec, pack_module};

use crate::descriptor::Descriptor;
use crate::manifest::{Document, Manifest};
use crate::media_type;
use crate::store::Store;

fn encode<T: Serialize>(what: &'static str, value: &T) -> Result<Vec<u8>, PackError> {
    serde_json::to_vec(value).map_err(|source| PackError::Encode { what, source })
}

/// Stores a manifest after checking that it can be read again.
fn put_manifest(store: &Store, manifest: &Manifest) -> Result<Descriptor, PackError> {
    let bytes = encode("manifest", manifest)?;
    Document::parse(&bytes).map_err(PackError::TooManyParts)?;
    let mut descriptor = store.put_bytes(media_type::MANIFEST, &bytes)?;
    descriptor.artifact_type = Some(manifest.kind().to_owned());
    Ok(descriptor)
}
