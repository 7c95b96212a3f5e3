//! Packing fat artifacts: one manifest with a module and the files of its one model, for those who move single manifests.

use super::{ModuleSpec, PackError, encode, put_manifest};
use crate::annotation;
use crate::artifact::{FileKind, ModelLink};
use crate::descriptor::Descriptor;
use crate::manifest::Manifest;
use crate::media_type;
use crate::store::Store;

/// Stores a manifest of `module` and, after it, the layers of a model (from [`model_layers`](super::model_layers) or
/// [`packed_model_layers`](super::packed_model_layers)), and returns it. The module opens the model by the name in the
/// annotation [`annotation::MODEL_NAME`], or `default`; its list of models must be empty. Equal parts give equal digests.
///
/// # Errors
/// When the binary is native code, not WebAssembly, or not valid; when it lists models, its one's name is unusable, or a file
/// of the model has its title; when there are no weights, or the store fails.
pub fn pack_fat(store: &Store, module: &ModuleSpec, model: Vec<Descriptor>) -> Result<Descriptor, PackError> {
    let (os, component) = super::module::check(module)?;
    if let Some(link) = module.models.first() {
        return Err(PackError::FatLink {
            name: link.name.clone(),
        });
    }
    let weight = FileKind::Weight.media_type();
    if !model.iter().any(|layer| layer.media_type == weight) {
        return Err(PackError::NoWeights);
    }
    let has_title = |layer: &&Descriptor| layer.annotations.get(annotation::TITLE) == Some(&module.title);
    if let Some(layer) = model.iter().find(has_title) {
        let path = layer.annotations.get(annotation::TITLE).cloned().unwrap_or_default();
        return Err(PackError::Path { path });
    }
    let mut layers = vec![super::module::put_layer(store, module)?];
    layers.extend(model);
    let config = super::module::config(module, os, component, &layers);
    let config = store.put_bytes(media_type::WASM_CONFIG, &encode("Wasm config", &config)?)?;
    let mut manifest = Manifest::new(config, layers);
    super::module::annotate(&mut manifest, module)?;
    ModelLink::inside(&manifest, manifest.config.digest).map_err(|source| PackError::Links(Box::new(source)))?;
    put_manifest(store, &manifest)
}
