//! Model artifacts: ModelPack, and the weights of fat and plain artifacts in the same terms.

use std::collections::BTreeSet;
use std::path::{Component, Path};

use serde::{Deserialize, Serialize};

use super::classify::{self, Role};
use super::{ArtifactError, Opener};
use crate::annotation;
use crate::descriptor::{Descriptor, null_as_default};
use crate::digest::Digest;
use crate::format::ModelFormat;
use crate::manifest::Manifest;
use crate::media_type;
use crate::verify::Verified;

/// A model: its files, each a blob that is used as it lies.
#[derive(Debug, Clone)]
pub struct ModelArtifact {
    /// Descriptor of the manifest.
    pub descriptor: Verified<Descriptor>,
    /// The manifest.
    pub manifest: Verified<Manifest>,
    /// The files, in the order of the layers. Paths are relative, safe, and unique.
    pub files: Vec<ModelFile>,
    /// Format of the weights: as the config says, else as the weights show.
    pub format: ModelFormat,
    /// The ModelPack config, if there is one.
    pub config: Option<ModelConfig>,
}

impl ModelArtifact {
    /// The files that are weights.
    pub fn weights(&self) -> impl Iterator<Item = &ModelFile> {
        self.files.iter().filter(|file| file.kind == FileKind::Weight)
    }
}

/// One file of a model.
#[derive(Debug, Clone)]
pub struct ModelFile {
    /// Path inside the model, with `/`; the digest when the artifact gives none.
    pub path: String,
    /// What it is for.
    pub kind: FileKind,
    /// The blob.
    pub blob: Verified<Descriptor>,
}

/// What a model's file is for: the layer kinds of ModelPack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// Weights.
    Weight,
    /// Tokenizer, generation and architecture parameters.
    WeightConfig,
    /// Documentation and licences.
    Doc,
    /// Scripts. Never run.
    Code,
    /// Data.
    Dataset,
}

impl FileKind {
    /// The kind by its name in a ModelPack media type.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "weight" => Self::Weight,
            "weight.config" => Self::WeightConfig,
            "doc" => Self::Doc,
            "code" => Self::Code,
            "dataset" => Self::Dataset,
            _ => return None,
        })
    }

    /// Media type of a raw layer of this kind.
    #[must_use]
    pub fn media_type(self) -> String {
        let name = match self {
            Self::Weight => "weight",
            Self::WeightConfig => "weight.config",
            Self::Doc => "doc",
            Self::Code => "code",
            Self::Dataset => "dataset",
        };
        format!("{}{name}.v1.raw", media_type::MODEL_PREFIX)
    }
}

/// A ModelPack config (model-spec, "Model Config"), as far as this crate uses it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelConfig {
    /// Who made what.
    #[serde(default)]
    pub descriptor: ModelDescription,
    /// How it is built.
    #[serde(default)]
    pub config: ModelParameters,
    /// What it consists of.
    #[serde(default)]
    pub modelfs: ModelFs,
}

/// `descriptor` of a ModelPack config.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ModelDescription {
    /// When the model was made, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<String>,
    /// Who made it.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub authors: Vec<String>,
    /// Model family.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family: Option<String>,
    /// Name of the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Version of the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// What it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// SPDX licence expressions.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub licenses: Vec<String>,
}

/// `config` of a ModelPack config.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ModelParameters {
    /// Architecture, as `transformer` or `cnn`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub architecture: Option<String>,
    /// Format of the weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    /// Number of parameters, as `8b`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub param_size: Option<String>,
    /// Element type, as `bf16`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub precision: Option<String>,
    /// Quantisation, as `q4_k_m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantization: Option<String>,
}

/// `modelfs` of a ModelPack config.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ModelFs {
    /// Always `layers`.
    #[serde(default, rename = "type")]
    pub kind: String,
    /// Digests of the uncompressed layers, in order.
    #[serde(default, deserialize_with = "null_as_default")]
    pub diff_ids: Vec<Digest>,
}

impl Opener<'_> {
    /// The model in `layers`, which are all of `manifest`'s layers or, in a fat artifact, all but the module.
    pub(super) fn model(
        &self,
        manifest: Verified<Manifest>,
        layers: Vec<(Verified<Descriptor>, Role)>,
    ) -> Result<ModelArtifact, ArtifactError> {
        let digest = self.descriptor.digest;
        let config = match manifest.config.media_type.as_str() {
            media_type::MODEL_CONFIG | "application/vnd.cnai.model.config.v1+json" => {
                Some(self.config::<ModelConfig>(&manifest, "ModelPack config")?)
            }
            _ => None,
        };
        let mut format = config
            .as_ref()
            .and_then(|config| config.config.format.as_deref())
            .map(ModelFormat::named);
        let mut paths = BTreeSet::new();
        let mut files = Vec::new();
        for (blob, role) in layers {
            let (kind, layer_format) = match role {
                Role::File(kind, format) => (kind, format),
                Role::Packed(_) | Role::Image | Role::Module | Role::Other => continue,
            };
            let path = file_path(&blob, &paths);
            if !is_safe(&path) || !paths.insert(path.clone()) {
                return Err(ArtifactError::UnsafePath {
                    digest,
                    path: path.chars().take(256).collect(),
                });
            }
            if kind == FileKind::Weight && format.is_none() {
                format = layer_format.or_else(|| classify::format_of_path(&path));
            }
            files.push(ModelFile { path, kind, blob });
        }
        let format = format.unwrap_or_else(|| ModelFormat::named(""));
        Ok(ModelArtifact {
            descriptor: self.descriptor.clone(),
            manifest,
            files,
            format,
            config,
        })
    }
}

/// The path that the layer states, else one that its type suggests, else its digest.
fn file_path(layer: &Descriptor, taken: &BTreeSet<String>) -> String {
    let keys = [
        annotation::MODEL_FILEPATH,
        annotation::MODEL_FILEPATH_OLD,
        annotation::TITLE,
    ];
    if let Some(path) = keys.iter().find_map(|&key| layer.annotations.get(key)) {
        return path.clone();
    }
    let usual = match layer.media_type.as_str() {
        "application/vnd.ollama.image.model" | "application/vnd.docker.ai.gguf.v3" => "model.gguf",
        "application/vnd.ollama.image.projector" | "application/vnd.docker.ai.gguf.v3.mmproj" => "projector.gguf",
        "application/vnd.ollama.image.adapter" | "application/vnd.docker.ai.gguf.v3.lora" => "adapter.gguf",
        "application/vnd.ollama.image.template" => "template",
        "application/vnd.ollama.image.system" => "system",
        "application/vnd.ollama.image.params" => "params.json",
        "application/vnd.ollama.image.messages" => "messages.json",
        "application/vnd.ollama.image.license" | "application/vnd.docker.ai.license" => "LICENSE",
        "application/vnd.docker.ai.chat.template.jinja" => "chat_template.jinja",
        _ => "",
    };
    if usual.is_empty() || taken.contains(usual) {
        layer.digest.hex()
    } else {
        usual.to_owned()
    }
}

/// Whether a path stays inside the folder that it is relative to, on any system.
pub(crate) fn is_safe(path: &str) -> bool {
    let normal = |component| matches!(component, Component::Normal(_));
    (1..=4096).contains(&path.len())
        && !path.contains(['\\', ':'])
        && !path.chars().any(char::is_control)
        && path
            .split('/')
            .all(|part| !part.is_empty() && part != "." && part != "..")
        && Path::new(path).components().all(normal)
}
