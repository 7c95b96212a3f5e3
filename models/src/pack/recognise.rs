//! What a file of a model is for: content decides what are weights, a name may only agree with it.

use std::path::Path;

use super::model::{ModelFile, ModelFileSpec};
use super::{ImageSpec, PackError};
use crate::artifact::FileKind;
use crate::format::{self, Content, FileAt};

/// Extensions that promise a format whose content is known.
const CLAIMS: [&str; 4] = ["onnx", "gguf", "safetensors", "tflite"];
/// Files of tokenizers and labels that are named like documents.
const TEXTS_OF_MODELS: [&str; 4] = ["vocab.txt", "merges.txt", "labels.txt", "classes.txt"];

/// Looks at the content of a file.
pub(super) fn recognise(spec: ModelFileSpec) -> Result<ModelFile, PackError> {
    let content = content(&spec.source)?;
    let extension = extension(&spec.path);
    let wrong = |claimed: &str, found: &str| PackError::WrongContent {
        file: spec.source.clone(),
        claimed: claimed.to_owned(),
        found: found.to_owned(),
    };
    let claimed = Some(extension.as_str()).filter(|extension| CLAIMS.contains(extension));
    let (kind, format) = match (content, claimed) {
        (Content::Weights(found), Some(claimed)) if found.as_str() != claimed => {
            return Err(wrong(claimed, found.as_str()));
        }
        (Content::Weights(found), _) => (spec.kind.unwrap_or(FileKind::Weight), Some(found)),
        (_, Some(claimed)) => return Err(wrong(claimed, "something else")),
        (Content::Module | Content::Component | Content::OtherWasm, None) => {
            return Err(wrong("part of a model", "WebAssembly"));
        }
        (Content::Native, None) => return Err(wrong("part of a model", "native code")),
        (Content::Unknown, None) => {
            let kind = spec.kind.or_else(|| kind_by_name(&spec.path));
            let kind = kind.ok_or_else(|| PackError::UnknownFile {
                file: spec.source.clone(),
            })?;
            (kind, None)
        }
    };
    Ok(ModelFile { spec, kind, format })
}

/// Opening something else than a file could wait for ever, as a pipe does.
fn content(source: &Path) -> Result<Content, PackError> {
    if !fs_err::metadata(source).map_err(PackError::Read)?.is_file() {
        return Err(PackError::NotAFile {
            path: source.to_owned(),
        });
    }
    let file = FileAt::open(source).map_err(PackError::Read)?;
    format::detect(&file).map_err(PackError::Read)
}

/// What follows the last dot of the name, in lower case; empty without one.
fn extension(path: &str) -> String {
    let name = path.rsplit('/').next().unwrap_or(path);
    let extension = name.rsplit_once('.').map(|(_, extension)| extension);
    extension.unwrap_or_default().to_ascii_lowercase()
}

/// Whether content must agree with the name of `path`.
pub(super) fn is_claimed(path: &str) -> bool {
    CLAIMS.contains(&extension(path).as_str())
}

/// For files whose content has no magic. External tensor data of ONNX has none either, and goes by its usual names.
pub(super) fn kind_by_name(path: &str) -> Option<FileKind> {
    let name = path.rsplit('/').next().unwrap_or(path);
    if TEXTS_OF_MODELS.contains(&name.to_ascii_lowercase().as_str()) {
        return Some(FileKind::WeightConfig);
    }
    match extension(path).as_str() {
        "onnx_data" | "data" | "bin" | "pt" | "pth" | "ckpt" | "h5" | "msgpack" | "npz" | "npy" | "pb" | "engine" => {
            Some(FileKind::Weight)
        }
        "json" | "jinja" | "model" | "yaml" | "yml" | "toml" | "tiktoken" | "xml" | "cfg" | "ini" => {
            Some(FileKind::WeightConfig)
        }
        "md" | "txt" | "rst" | "html" | "pdf" | "png" | "jpg" | "jpeg" | "gif" | "svg" | "webp" => Some(FileKind::Doc),
        "py" | "ipynb" | "sh" | "js" | "ts" | "c" | "h" | "cpp" | "hpp" | "cu" | "rs" | "go" | "java" => {
            Some(FileKind::Code)
        }
        "csv" | "tsv" | "jsonl" | "parquet" | "arrow" => Some(FileKind::Dataset),
        "" => {
            let name = name.to_ascii_uppercase();
            let is_document = name.starts_with("LICEN") || name.starts_with("README") || name == "NOTICE";
            is_document.then_some(FileKind::Doc)
        }
        _ => None,
    }
}

impl ImageSpec {
    /// Adds the files that ONNX models among [`files`](Self::files) refer to.
    pub(super) fn complete(&mut self) -> Result<(), PackError> {
        let files = std::mem::take(&mut self.files);
        let mut files = files.into_iter().map(recognise).collect::<Result<Vec<_>, _>>()?;
        super::external::add(&mut files)?;
        self.files = files.into_iter().map(|file| file.spec).collect();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_what_content_does_not() {
        let cases = [
            ("onnx/model.onnx_data", Some(FileKind::Weight)),
            ("pytorch_model.bin", Some(FileKind::Weight)),
            ("Vocab.txt", Some(FileKind::WeightConfig)),
            ("notes.txt", Some(FileKind::Doc)),
            ("spiece.model", Some(FileKind::WeightConfig)),
            ("assets/picture.PNG", Some(FileKind::Doc)),
            ("modeling_x.py", Some(FileKind::Code)),
            ("eval.parquet", Some(FileKind::Dataset)),
            ("LICENSE", Some(FileKind::Doc)),
            ("a.b/what", None),
            ("what.xyz", None),
        ];
        for (path, kind) in cases {
            assert_eq!(kind_by_name(path), kind, "{path}");
        }
        assert!(is_claimed("A.GGUF") && !is_claimed("gguf"));
    }
}
