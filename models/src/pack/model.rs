//! Packing models: ModelPack with raw layers, so that the stored blob is the model file.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::{PackError, encode, put_manifest};
use crate::annotation;
use crate::artifact::{FileKind, ModelConfig, ModelDescription, ModelFs, ModelParameters, is_safe};
use crate::descriptor::{Annotations, Descriptor};
use crate::format::{self, Content, ModelFormat};
use crate::manifest::Manifest;
use crate::media_type;
use crate::store::Store;

/// What goes into a model artifact.
#[derive(Debug, Clone, Default)]
pub struct ModelSpec {
    /// The files; at least one of weights.
    pub files: Vec<ModelFileSpec>,
    /// Who made what.
    pub description: ModelDescription,
    /// How it is built. The format is filled in from the weights when unset.
    pub parameters: ModelParameters,
    /// Annotations of the manifest.
    pub annotations: Annotations,
}

/// One file to pack.
#[derive(Debug, Clone)]
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
}

/// Stores a model artifact and returns its manifest. Equal specs and files give equal digests. `progress` gets the number
/// of bytes of each step.
///
/// # Errors
/// When a file is not what its name says, has no usable path, or there are no weights; when the store fails.
pub fn pack_model(store: &Store, spec: ModelSpec, progress: &dyn Fn(u64)) -> Result<Descriptor, PackError> {
    let mut files = Vec::new();
    let mut paths = BTreeSet::new();
    for file in spec.files {
        if !is_safe(&file.path) || !paths.insert(file.path.clone()) {
            return Err(PackError::Path { path: file.path });
        }
        let (kind, format) = recognise(&file)?;
        files.push((file, kind, format));
    }
    // Before gigabytes are copied.
    if !files.iter().any(|(_, kind, _)| *kind == FileKind::Weight) {
        return Err(PackError::NoWeights);
    }
    let mut parameters = spec.parameters;
    if parameters.format.is_none() {
        let format = files.iter().find_map(|(_, _, format)| format.as_ref());
        parameters.format = format.map(|format| format.as_str().to_owned());
    }
    let mut layers = Vec::new();
    for (file, kind, _) in files {
        let layer = store.put_file(&file.source, &kind.media_type(), progress)?;
        layers.push(
            layer
                .annotated(annotation::MODEL_FILEPATH, &file.path)
                .annotated(annotation::TITLE, &file.path),
        );
    }
    let config = ModelConfig {
        descriptor: spec.description,
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

/// What a file is for. Content decides what are weights; a name may only agree with it.
fn recognise(file: &ModelFileSpec) -> Result<(FileKind, Option<ModelFormat>), PackError> {
    let source = fs_err::File::open(&file.source).map_err(PackError::Read)?;
    let len = source.metadata().map_err(PackError::Read)?.len();
    let content = format::detect(source, len).map_err(PackError::Read)?;
    let extension = file
        .path
        .rsplit_once('.')
        .map(|(_, extension)| extension.to_ascii_lowercase());
    let extension = extension.as_deref().unwrap_or_default();
    let wrong = |claimed: &str, found: &str| PackError::WrongContent {
        file: file.source.clone(),
        claimed: claimed.to_owned(),
        found: found.to_owned(),
    };
    let claimed = Some(extension).filter(|extension| matches!(*extension, "onnx" | "gguf" | "safetensors"));
    match (content, claimed) {
        (Content::Weights(found), Some(claimed)) if found.as_str() != claimed => Err(wrong(claimed, found.as_str())),
        (Content::Weights(found), _) => Ok((file.kind.unwrap_or(FileKind::Weight), Some(found))),
        (_, Some(claimed)) => Err(wrong(claimed, "something else")),
        (Content::Module | Content::Component | Content::OtherWasm, None) => {
            Err(wrong("part of a model", "WebAssembly"))
        }
        (Content::Native, None) => Err(wrong("part of a model", "native code")),
        (Content::Unknown, None) => {
            let kind = file.kind.or_else(|| kind_by_name(&file.path, extension));
            kind.map(|kind| (kind, None)).ok_or_else(|| PackError::UnknownFile {
                file: file.source.clone(),
            })
        }
    }
}

/// For files whose content has no magic. External tensor data of ONNX has none either, and goes by its usual names.
fn kind_by_name(path: &str, extension: &str) -> Option<FileKind> {
    let name = path.rsplit('/').next().unwrap_or(path).to_ascii_uppercase();
    match extension {
        "onnx_data" | "data" | "bin" => Some(FileKind::Weight),
        "json" | "jinja" | "model" | "yaml" | "yml" => Some(FileKind::WeightConfig),
        "md" | "txt" | "rst" => Some(FileKind::Doc),
        "py" => Some(FileKind::Code),
        "" if name.starts_with("LICEN") || name.starts_with("README") || name == "NOTICE" => Some(FileKind::Doc),
        _ => None,
    }
}
