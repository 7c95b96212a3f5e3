//! What each layer of a manifest is: by its media type, else by the extension of its title, else by its content.

use std::io::Cursor;

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
    if let Some(role) = by_media_type(&layer.media_type) {
        return Ok(role);
    }
    if let Some(role) = layer
        .annotations
        .get(annotation::TITLE)
        .and_then(|title| by_extension(title))
    {
        return Ok(role);
    }
    let blob = store.open_blob(layer)?;
    let content = format::detect(Cursor::new(&blob), layer.size).map_err(StoreError::io("classify layer"))?;
    Ok(match content {
        Content::Module | Content::Component => Role::Module,
        Content::Weights(format) => Role::File(FileKind::Weight, Some(format)),
        _ => Role::Other,
    })
}

fn by_media_type(media_type: &str) -> Option<Role> {
    if media_type == media_type::WASM {
        return Some(Role::Module);
    }
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

fn by_extension(title: &str) -> Option<Role> {
    let (_, extension) = title.rsplit_once('.')?;
    let extension = extension.to_ascii_lowercase();
    Some(match extension.as_str() {
        "wasm" => Role::Module,
        "onnx" | "gguf" | "safetensors" => Role::File(FileKind::Weight, Some(ModelFormat::named(&extension))),
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
        assert_eq!(by_extension("a/App.WASM"), Some(Role::Module));
        assert_eq!(by_extension("m.onnx"), weight(Some(ModelFormat::Onnx)));
        assert_eq!(by_extension("m.onnx_data"), None);
        assert_eq!(by_extension("README"), None);
    }
}
