//! Packing models: ModelPack with raw layers, so that the stored blob is the model file.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::recognise::recognise;
use super::{PackError, encode, external, folder, metadata, put_manifest};
use crate::annotation;
use crate::artifact::{FileKind, ModelConfig, ModelDescription, ModelFs, ModelParameters, is_safe};
use crate::descriptor::{Annotations, Descriptor};
use crate::format::ModelFormat;
use crate::manifest::{Document, MAX_ENTRIES, Manifest};
use crate::media_type;
use crate::store::{Store, StoreError};

/// What goes into a model artifact.
#[derive(Debug, Clone, Default)]
pub struct ModelSpec {
    /// The files; at least one of weights. Those in which an ONNX model keeps tensors are added.
    pub files: Vec<ModelFileSpec>,
    /// Who made what. What is not said is read from the files.
    pub description: ModelDescription,
    /// How it is built, likewise.
    pub parameters: ModelParameters,
    /// Annotations of the manifest.
    pub annotations: Annotations,
}

/// One file to pack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelFileSpec {
    /// The file.
    pub source: PathBuf,
    /// Its path inside the model, with `/`.
    pub path: String,
    /// What it is for; found out from content and name when unset.
    pub kind: Option<FileKind>,
}

impl ModelFileSpec {
    /// A file under its own name.
    #[must_use]
    pub fn new(source: &Path) -> Self {
        let path = source
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        Self {
            source: source.to_owned(),
            path,
            kind: None,
        }
    }

    /// The files of a model's folder under their paths in it, in the order of these: all but hidden ones. A link is followed
    /// to a file in the folder, or in the `blobs` of a Hugging Face download cache that the folder belongs to.
    ///
    /// # Errors
    /// When a link leads elsewhere or to a folder, something is neither file nor folder, or there are more files or levels
    /// than an artifact holds.
    pub fn of_folder(folder: &Path) -> Result<Vec<Self>, PackError> {
        folder::files(folder)
    }
}

/// A file and what it is.
#[derive(Debug)]
pub(super) struct ModelFile {
    pub(super) spec: ModelFileSpec,
    pub(super) kind: FileKind,
    /// Of weights whose content shows it.
    pub(super) format: Option<ModelFormat>,
}

/// Stores a model artifact and returns its manifest. Equal specs and files give equal digests. `progress` gets the number
/// of bytes of each step.
///
/// # Errors
/// When a file is not what its name says, has no usable path, or there are no weights; when an ONNX model refers to a file
/// that is missing or elsewhere; when the description is not as ModelPack wants it; when the store fails.
pub fn pack_model(store: &Store, spec: ModelSpec, progress: &dyn Fn(u64)) -> Result<Descriptor, PackError> {
    let (mut description, mut parameters) = (spec.description, spec.parameters);
    let faults = [description.faults(), parameters.faults()].concat();
    if !faults.is_empty() {
        return Err(PackError::Metadata { faults });
    }
    let files = recognised(spec.files)?;
    metadata::complete(&files, &mut description, &mut parameters);
    let layers = put(store, &files, progress)?;
    let config = ModelConfig {
        descriptor: description,
        config: parameters,
        modelfs: ModelFs {
            kind: "layers".to_owned(),
            diff_ids: layers.iter().map(|layer| layer.digest).collect(),
        },
    };
    let config = store.put_bytes(media_type::MODEL_CONFIG, &encode("model config", &config)?)?;
    let mut manifest = Manifest::new(config, layers);
    manifest.artifact_type = Some(media_type::MODEL_MANIFEST.to_owned());
    manifest.annotations = spec.annotations;
    put_manifest(store, &manifest)
}

/// Stores the files of a model as layers, for an artifact that holds them beside a module.
///
/// # Errors
/// As [`pack_model`].
pub fn model_layers(
    store: &Store,
    files: Vec<ModelFileSpec>,
    progress: &dyn Fn(u64),
) -> Result<Vec<Descriptor>, PackError> {
    put(store, &recognised(files)?, progress)
}

/// The layers of a packed model, for the same.
///
/// # Errors
/// When `model` is no ModelPack artifact with raw layers, or the store cannot give it.
pub fn packed_model_layers(store: &Store, model: &Descriptor) -> Result<Vec<Descriptor>, PackError> {
    let wrong = || PackError::WrongPart {
        digest: model.digest,
        expected: "a model artifact with raw layers",
    };
    let bytes = store.read_document(model)?;
    let manifest = match Document::parse_as(&model.media_type, &bytes) {
        Ok(Document::Manifest(manifest)) => manifest,
        Ok(Document::Index(_)) => return Err(wrong()),
        Err(source) => {
            let digest = model.digest;
            return Err(StoreError::NotADocument { digest, source }.into());
        }
    };
    let is_raw = |layer: &Descriptor| {
        let media_type = layer.media_type.as_str();
        media_type.starts_with(media_type::MODEL_PREFIX) && media_type.ends_with(".v1.raw")
    };
    let is_whole = manifest.kind() == media_type::MODEL_MANIFEST && manifest.layers.iter().all(is_raw);
    is_whole.then_some(manifest.layers).ok_or_else(wrong)
}

/// What each file is, and what they refer to. Everything that can be wrong is found before gigabytes are copied.
fn recognised(specs: Vec<ModelFileSpec>) -> Result<Vec<ModelFile>, PackError> {
    let mut files = specs.into_iter().map(recognise).collect::<Result<Vec<_>, _>>()?;
    external::add(&mut files)?;
    if !files.iter().any(|file| file.kind == FileKind::Weight) {
        return Err(PackError::NoWeights);
    }
    if files.len() > MAX_ENTRIES {
        return Err(PackError::TooManyFiles { limit: MAX_ENTRIES });
    }
    let mut paths = BTreeSet::new();
    for file in &files {
        let path = &file.spec.path;
        if !is_safe(path) || !paths.insert(path) {
            return Err(PackError::Path { path: path.clone() });
        }
    }
    Ok(files)
}

fn put(store: &Store, files: &[ModelFile], progress: &dyn Fn(u64)) -> Result<Vec<Descriptor>, PackError> {
    let layer = |file: &ModelFile| {
        let layer = store.put_file(&file.spec.source, &file.kind.media_type(), progress)?;
        Ok(layer
            .annotated(annotation::MODEL_FILEPATH, &file.spec.path)
            .annotated(annotation::TITLE, &file.spec.path))
    };
    files.iter().map(layer).collect()
}
