//! What each layer of a manifest is: by its media type, else by the extension of its title, else by its content.

use super::FileKind;
use crate::annotation;
use crate::descriptor::Descriptor;
use crate::format::{self, Content, ModelFormat};
use crate::media_type;
use crate::store::{Store, StoreError};
use crate::verify::Verified;

/// A layer's role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Role {
    Module,
    File(FileKind, Option<ModelFormat>),
    /// A model layer that is a tar archive or compressed.
    Packed(FileKind),
    /// A layer of a file system.
    Image,
    /// Nothing that this crate uses.
    Other,
}

impl Role {
    /// Whether this is what makes an artifact a model.
    pub(super) fn is_weight(&self) -> bool {
        matches!(self, Self::File(FileKind::Weight, _) | Self::Packed(FileKind::Weight))
    }
}

/// The role of `layer`. Only when type and title say nothing is the blob opened, and so hashed.
pub(super) fn classify(store: &Store, layer: &Verified<Descriptor>) -> Result<Role, StoreError> {
    match by_media_type(&layer.media_type) {
        // Pushed without a type, a file is called a layer of a file system; then its title says what it is.
        Some(Role::Image) if layer.annotations.contains_key(annotation::TITLE) => {}
        Some(role) => return Ok(role),
        None => {}
    }
    let names = [
        annotation::TITLE,
        annotation::MODEL_FILEPATH,
        annotation::MODEL_FILEPATH_OLD,
    ];
    let mut names = names.iter().filter_map(|&key| layer.annotations.get(key));
    if let Some(role) = names.find_map(|name| by_extension(name)) {
        return Ok(role);
    }
    if let Some(role @ Role::Image) = by_media_type(&layer.media_type) {
        return Ok(role);
    }
    let blob = store.open_blob(layer)?;
    let content = format::detect(&blob.as_ref()).map_err(StoreError::io("classify layer"))?;
    Ok(match content {
        Content::Module | Content::Component => Role::Module,
        Content::Weights(format) => Role::File(FileKind::Weight, Some(format)),
        _ => Role::Other,
    })
}

fn by_media_type(media_type: &str) -> Option<Role> {
    match media_type {
        media_type::WASM => return Some(Role::Module),
        media_type::IMAGE_LAYER | media_type::IMAGE_LAYER_GZIP | media_type::DOCKER_LAYER => return Some(Role::Image),
        _ => {}
    }
    let vendors = [by_modelpack, by_docker, by_kitops, by_ollama];
    vendors.into_iter().find_map(|vendor| vendor(media_type))
}

/// `application/vnd.cncf.model.KIND.v1.FORM`, and the same under its old name.
fn by_modelpack(media_type: &str) -> Option<Role> {
    let rest = media_type
        .strip_prefix(media_type::MODEL_PREFIX)
        .or_else(|| media_type.strip_prefix(media_type::MODEL_PREFIX_OLD))?;
    let (kind, form) = rest.rsplit_once(".v1.")?;
    let kind = FileKind::named(kind)?;
    Some(match form {
        "raw" => Role::File(kind, None),
        // Docker Model Runner writes the format where ModelPack has the form; the bytes are as raw.
        "gguf" | "safetensors" => Role::File(kind, Some(ModelFormat::named(form))),
        _ => Role::Packed(kind),
    })
}

/// Docker's model artifacts (docker/model-spec).
fn by_docker(media_type: &str) -> Option<Role> {
    let weight = |format| Role::File(FileKind::Weight, Some(ModelFormat::named(format)));
    Some(match media_type.strip_prefix("application/vnd.docker.ai.")? {
        "gguf.v3" | "gguf.v3.lora" | "gguf.v3.mmproj" => weight("gguf"),
        "safetensors" => weight("safetensors"),
        "dduf" => weight("dduf"),
        "license" => Role::File(FileKind::Doc, None),
        "chat.template.jinja" => Role::File(FileKind::WeightConfig, None),
        "vllm.config.tar" | "dir.tar" => Role::Packed(FileKind::WeightConfig),
        // Any file of the model; its path tells which.
        _ => return None,
    })
}

/// Layers of KitOps' ModelKits, always tar archives.
fn by_kitops(media_type: &str) -> Option<Role> {
    let (kind, _) = media_type
        .strip_prefix("application/vnd.kitops.modelkit.")?
        .split_once(".v1.")?;
    Some(Role::Packed(match kind {
        "model" | "modelpart" => FileKind::Weight,
        "dataset" => FileKind::Dataset,
        "code" => FileKind::Code,
        "docs" => FileKind::Doc,
        _ => return Some(Role::Other),
    }))
}

/// Layers of ollama's manifests.
fn by_ollama(media_type: &str) -> Option<Role> {
    let gguf = Some(ModelFormat::Gguf);
    Some(match media_type.strip_prefix(media_type::OLLAMA_PREFIX)? {
        "model" | "projector" | "adapter" => Role::File(FileKind::Weight, gguf),
        "tensor" => Role::File(FileKind::Weight, Some(ModelFormat::Safetensors)),
        "template" | "system" | "params" | "messages" | "json" => Role::File(FileKind::WeightConfig, None),
        "license" => Role::File(FileKind::Doc, None),
        _ => Role::Other,
    })
}

/// Whether a layer called `path` is documentation by type and name alike: nothing that runs, and no weights.
pub(crate) fn is_plain_document(layer: &Descriptor, path: &str) -> bool {
    let is_document = |role: Option<Role>| matches!(role, Some(Role::File(FileKind::Doc, _)));
    let named = by_extension(path);
    is_document(by_media_type(&layer.media_type)) && (named.is_none() || is_document(named))
}

/// The kind of a file inside a layer of `kind`: weights and modules show by their names.
pub(super) fn by_path(path: &str, kind: FileKind) -> Role {
    match by_extension(path) {
        Some(role) => role,
        None if kind == FileKind::Weight => Role::File(FileKind::WeightConfig, None),
        None => Role::File(kind, None),
    }
}

fn by_extension(title: &str) -> Option<Role> {
    let (_, extension) = title.rsplit_once('.')?;
    let extension = extension.to_ascii_lowercase();
    Some(match extension.as_str() {
        "wasm" => Role::Module,
        "onnx" | "gguf" | "safetensors" | "tflite" => {
            Role::File(FileKind::Weight, Some(ModelFormat::named(&extension)))
        }
        "json" | "jinja" | "model" => Role::File(FileKind::WeightConfig, None),
        "md" | "txt" => Role::File(FileKind::Doc, None),
        _ => return None,
    })
}

/// The format that a path's extension names, for weights whose layer type does not say it.
pub(super) fn format_of_path(path: &str) -> Option<ModelFormat> {
    match by_extension(path) {
        Some(Role::File(FileKind::Weight, format)) => format,
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types_and_titles() {
        let weight = |format| Some(Role::File(FileKind::Weight, format));
        let cases = [
            ("application/wasm", Some(Role::Module)),
            ("application/vnd.cncf.model.weight.v1.raw", weight(None)),
            ("application/vnd.cnai.model.weight.v1.raw", weight(None)),
            (
                "application/vnd.cncf.model.weight.v1.gguf",
                weight(Some(ModelFormat::Gguf)),
            ),
            (
                "application/vnd.cncf.model.weight.config.v1.raw",
                Some(Role::File(FileKind::WeightConfig, None)),
            ),
            (
                "application/vnd.cncf.model.doc.v1.tar+gzip",
                Some(Role::Packed(FileKind::Doc)),
            ),
            ("application/vnd.cncf.model.other.v1.raw", None),
            ("application/octet-stream", None),
        ];
        for (media_type, expected) in cases {
            assert_eq!(by_media_type(media_type), expected, "{media_type}");
        }
        let others = [
            ("application/vnd.docker.ai.gguf.v3", weight(Some(ModelFormat::Gguf))),
            (
                "application/vnd.docker.ai.license",
                Some(Role::File(FileKind::Doc, None)),
            ),
            ("application/vnd.docker.ai.model.file", None),
            (
                "application/vnd.kitops.modelkit.model.v1.tar+gzip",
                Some(Role::Packed(FileKind::Weight)),
            ),
            (
                "application/vnd.kitops.modelkit.modelpart.v1.tar",
                Some(Role::Packed(FileKind::Weight)),
            ),
            ("application/vnd.ollama.image.model", weight(Some(ModelFormat::Gguf))),
            (
                "application/vnd.ollama.image.params",
                Some(Role::File(FileKind::WeightConfig, None)),
            ),
            ("application/vnd.oci.image.layer.v1.tar+gzip", Some(Role::Image)),
        ];
        for (media_type, expected) in others {
            assert_eq!(by_media_type(media_type), expected, "{media_type}");
        }
        assert_eq!(by_extension("a/App.WASM"), Some(Role::Module));
        assert_eq!(by_extension("m.onnx"), weight(Some(ModelFormat::Onnx)));
        assert_eq!(by_extension("m.onnx_data"), None);
        assert_eq!(by_extension("README"), None);
    }
}
