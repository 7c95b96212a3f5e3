//! Packing modules: the CNCF Wasm OCI artifact, version 0, with one layer.

use std::io::Read as _;
use std::path::Path;

use super::{PackError, component, encode, put_manifest};
use crate::annotation;
use crate::artifact::{Capabilities, ModelLink, WasmComponent, WasmConfig, WasmOs};
use crate::descriptor::{Annotations, Descriptor};
use crate::format::{self, Content};
use crate::manifest::Manifest;
use crate::media_type;
use crate::store::Store;

/// Largest module, in bytes: it is validated in memory, as it is compiled.
const MAX_MODULE_BYTES: u64 = 512 << 20;
/// `created` of configs whose maker gives no time: readers in the field require one, and reproducibility forbids now.
const UNDATED: &str = "1970-01-01T00:00:00Z";

/// What goes into a module artifact.
#[derive(Debug, Clone, Default)]
pub struct ModuleSpec {
    /// The WebAssembly binary.
    pub wasm: Vec<u8>,
    /// File name of the layer.
    pub title: String,
    /// When it was made, RFC 3339; left out, the config says 1970 and the manifest nothing.
    pub created: Option<String>,
    /// Who made it.
    pub author: Option<String>,
    /// The models that it opens by name.
    pub models: Vec<ModelLink>,
    /// What it asks its host for.
    pub capabilities: Option<Capabilities>,
    /// Further annotations of the manifest.
    pub annotations: Annotations,
}

impl ModuleSpec {
    /// A module from a file, titled by its name.
    ///
    /// # Errors
    /// When the file cannot be read or is larger than any module.
    pub fn from_file(path: &Path) -> Result<Self, PackError> {
        let title = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        let file = fs_err::File::open(path).map_err(PackError::Read)?;
        let mut wasm = Vec::new();
        let read = file
            .take(MAX_MODULE_BYTES + 1)
            .read_to_end(&mut wasm)
            .map_err(PackError::Read)?;
        if u64::try_from(read).is_ok_and(|read| read > MAX_MODULE_BYTES) {
            return Err(PackError::ModuleTooLarge {
                title,
                limit: MAX_MODULE_BYTES,
            });
        }
        Ok(Self {
            wasm,
            title,
            ..Self::default()
        })
    }
}

/// Stores a module artifact and returns its manifest. Equal specs give equal digests.
///
/// # Errors
/// When the binary is native code, not WebAssembly, or not valid; when the links break a rule; when the store fails.
pub fn pack_module(store: &Store, spec: ModuleSpec) -> Result<Descriptor, PackError> {
    let (os, component) = check(&spec)?;
    ModelLink::check(&spec.models).map_err(|source| PackError::Links(Box::new(source)))?;
    let layers = vec![put_layer(store, &spec)?];
    let config = config(&spec, os, component, &layers);
    let config = store.put_bytes(media_type::WASM_CONFIG, &encode("Wasm config", &config)?)?;
    let mut manifest = Manifest::new(config, layers);
    annotate(&mut manifest, &spec)?;
    put_manifest(store, &manifest)
}

/// Which WASI a module is for, and what a component imports and exports.
pub(super) fn check(spec: &ModuleSpec) -> Result<(WasmOs, Option<WasmComponent>), PackError> {
    let title = || spec.title.clone();
    match format::detect(&spec.wasm).map_err(PackError::Read)? {
        Content::Module | Content::Component => {}
        Content::Native => return Err(PackError::Precompiled { title: title() }),
        _ => return Err(PackError::NotWasm { title: title() }),
    }
    component::inspect(&spec.wasm).map_err(|source| PackError::InvalidWasm { title: title(), source })
}

/// Stores the binary.
pub(super) fn put_layer(store: &Store, spec: &ModuleSpec) -> Result<Descriptor, PackError> {
    let layer = store.put_bytes(media_type::WASM, &spec.wasm)?;
    Ok(match spec.title.as_str() {
        "" => layer,
        title => layer.annotated(annotation::TITLE, title),
    })
}

/// The config of an artifact with a module and whatever else is among `layers`.
pub(super) fn config(
    spec: &ModuleSpec,
    os: WasmOs,
    component: Option<WasmComponent>,
    layers: &[Descriptor],
) -> WasmConfig {
    WasmConfig {
        created: spec.created.clone().unwrap_or_else(|| UNDATED.to_owned()),
        author: spec.author.clone(),
        architecture: "wasm".to_owned(),
        os: os.as_str().to_owned(),
        layer_digests: layers.iter().map(|layer| layer.digest).collect(),
        component,
    }
}

/// Writes what the spec says of the module into the manifest's annotations.
pub(super) fn annotate(manifest: &mut Manifest, spec: &ModuleSpec) -> Result<(), PackError> {
    ModelLink::check(&spec.models).map_err(|source| PackError::Links(Box::new(source)))?;
    manifest.annotations = spec.annotations.clone();
    let mut annotate = |key: &str, value: String| manifest.annotations.insert(key.to_owned(), value);
    if let Some(created) = &spec.created {
        annotate(annotation::CREATED, created.clone());
    }
    if !spec.models.is_empty() {
        annotate(annotation::MODELS, encode_text("list of models", &spec.models)?);
    }
    if let Some(capabilities) = &spec.capabilities {
        annotate(annotation::CAPABILITIES, encode_text("capabilities", capabilities)?);
    }
    Ok(())
}

fn encode_text<T: serde::Serialize>(what: &'static str, value: &T) -> Result<String, PackError> {
    serde_json::to_string(value).map_err(|source| PackError::Encode { what, source })
}
