//! Model artifacts: ModelPack, and the weights of fat and plain artifacts in the same terms.

use std::collections::BTreeSet;
use std::path::{Component, Path};

use super::classify::{self, Role};
use super::{ArtifactError, ModelConfig, Opener};
use crate::annotation;
use crate::descriptor::Descriptor;
use crate::format::{ModelFormat, Summary};
use crate::manifest::Manifest;
use crate::media_type;
use crate::store::{Store, StoreError};
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
    /// The ModelPack config, if there is one. Boxed, because it is many times larger than the rest.
    pub config: Option<Box<ModelConfig>>,
}

impl ModelArtifact {
    /// The files that are weights.
    pub fn weights(&self) -> impl Iterator<Item = &ModelFile> {
        self.files.iter().filter(|file| file.kind == FileKind::Weight)
    }

    /// What the headers of the weights say. The weights are hashed first. `None` for formats whose headers are not read, for
    /// malformed ones, and when there are weights of several models: only shards of one have common numbers.
    ///
    /// # Errors
    /// When the store cannot give the weights.
    pub fn summary(&self, store: &Store) -> Result<Option<Summary>, StoreError> {
        let weights: Vec<_> = match self.weights().collect::<Vec<_>>().as_slice() {
            [only] => vec![*only],
            several => {
                let of_format =
                    |file: &&&ModelFile| classify::format_of_path(&file.path).as_ref() == Some(&self.format);
                several.iter().filter(of_format).copied().collect()
            }
        };
        let models: BTreeSet<_> = weights.iter().map(|file| model_of(&file.path)).collect();
        if models.len() != 1 {
            return Ok(None);
        }
        let mut whole: Option<Summary> = None;
        for file in weights {
            let blob = store.open_blob(&file.blob)?;
            let Some(Ok(shard)) = self.format.summary(&blob.as_ref()) else {
                return Ok(None);
            };
            whole.get_or_insert_default().add(shard);
        }
        Ok(whole)
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
                Some(Box::new(self.config::<ModelConfig>(&manifest, "ModelPack config")?))
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

/// The path of weights without what numbers a shard, and the number of shards: `model-00001-of-00003.safetensors` is one of
/// `model`.
pub(crate) fn model_of(path: &str) -> (&str, &str) {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let shard = path
        .rsplit_once('.')
        .and_then(|(stem, _)| stem.rsplit_once("-of-"))
        .and_then(|(rest, count)| Some((rest.rsplit_once('-')?, count)));
    match shard {
        Some(((model, number), count)) if is_number(number) && is_number(count) => (model, count),
        _ => (path, ""),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_belong_to_one_model() {
        let first = model_of("a/model-00001-of-00002.safetensors");
        assert_eq!(first, model_of("a/model-00002-of-00002.safetensors"));
        assert_ne!(first, model_of("b/model-00001-of-00002.safetensors"));
        assert_ne!(first, model_of("a/model-00001-of-00003.safetensors"));
        assert_eq!(model_of("one-of-a-kind.gguf"), ("one-of-a-kind.gguf", ""));
        assert_eq!(model_of("no-extension"), ("no-extension", ""));
    }
}
