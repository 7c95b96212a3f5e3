//! What a file is, by its content: WebAssembly, ONNX, GGUF, safetensors or TensorFlow Lite. Extensions are never believed
//! alone.

use std::io;

use dunlin_weights::Format;
pub use dunlin_weights::{FileAt, HeaderError, ReadAt, Summary};

/// Formats of weights.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ModelFormat {
    /// ONNX (`ModelProto`).
    Onnx,
    /// GGUF.
    Gguf,
    /// safetensors.
    Safetensors,
    /// TensorFlow Lite.
    Tflite,
    /// What the artifact's config calls it, or `unknown`.
    Other(String),
}

impl ModelFormat {
    /// The name that ModelPack configs use.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Onnx => "onnx",
            Self::Gguf => "gguf",
            Self::Safetensors => "safetensors",
            Self::Tflite => "tflite",
            Self::Other(name) => name,
        }
    }

    /// The format of that name.
    #[must_use]
    pub fn named(name: &str) -> Self {
        match name.to_ascii_lowercase().as_str() {
            "onnx" => Self::Onnx,
            "gguf" => Self::Gguf,
            "safetensors" => Self::Safetensors,
            "tflite" => Self::Tflite,
            "" => Self::Other("unknown".to_owned()),
            other => Self::Other(other.to_owned()),
        }
    }

    /// Reads the header of `source` as a file of this format; `None` for formats whose headers are not read.
    ///
    /// # Errors
    /// When reading fails, or the header is malformed.
    pub fn summary(&self, source: &dyn ReadAt) -> Option<Result<Summary, HeaderError>> {
        let format = match self {
            Self::Onnx => Format::Onnx,
            Self::Gguf => Format::Gguf,
            Self::Safetensors => Format::Safetensors,
            Self::Tflite => Format::Tflite,
            Self::Other(_) => return None,
        };
        Some(Summary::read(format, source))
    }
}

/// What the bytes of a file are.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Content {
    /// A core WebAssembly module, version 1.
    Module,
    /// A WebAssembly component.
    Component,
    /// WebAssembly of another version.
    OtherWasm,
    /// A native object: what wasmtime's precompiled modules are.
    Native,
    /// Weights.
    Weights(ModelFormat),
    /// None of these.
    Unknown,
}

const WASM_MAGIC: &[u8] = b"\0asm";
const MODULE_VERSION: &[u8] = &[1, 0, 0, 0];
const COMPONENT_VERSION: &[u8] = &[0x0d, 0, 1, 0];
const ELF_MAGIC: &[u8] = b"\x7fELF";

/// Looks at the content of `source`. Reads little and keeps next to nothing, whatever the content claims.
///
/// # Errors
/// When reading fails; content that merely ends too early is [`Content::Unknown`].
pub fn detect(source: &dyn ReadAt) -> io::Result<Content> {
    let mut head = [0; 8];
    let len = usize::try_from(source.size()).map_or(head.len(), |size| size.min(head.len()));
    let head = head.get_mut(..len).unwrap_or_default();
    source.read_exact_at(head, 0)?;
    let (magic, version) = head.split_at(len.min(4));
    Ok(match (magic, version) {
        (WASM_MAGIC, MODULE_VERSION) => Content::Module,
        (WASM_MAGIC, COMPONENT_VERSION) => Content::Component,
        (WASM_MAGIC, _) => Content::OtherWasm,
        (ELF_MAGIC, _) => Content::Native,
        _ => match Format::detect(source)? {
            Some(format) => Content::Weights(ModelFormat::named(format.name())),
            None => Content::Unknown,
        },
    })
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    /// The smallest file that is ONNX: IR version 8 and a graph with a name.
    pub(crate) const ONNX: &[u8] = &[0x08, 0x08, 0x3a, 0x03, 0x12, 0x01, b'g', 0x42, 0x02, 0x10, 0x11];

    pub(crate) fn safetensors() -> Vec<u8> {
        let header = br#"{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
        let mut bytes = u64::try_from(header.len()).unwrap().to_le_bytes().to_vec();
        bytes.extend_from_slice(header);
        bytes.extend_from_slice(&[0; 4]);
        bytes
    }

    fn content(bytes: &[u8]) -> Content {
        detect(&bytes).unwrap()
    }

    #[test]
    fn knows_its_formats() {
        assert_eq!(content(b"\0asm\x01\0\0\0"), Content::Module);
        assert_eq!(content(b"\0asm\x0d\0\x01\0"), Content::Component);
        assert_eq!(content(b"\0asm\x02\0\0\0"), Content::OtherWasm);
        assert_eq!(content(b"\x7fELF\x02\x01\x01\0rest"), Content::Native);
        assert_eq!(content(b"GGUF\x03\0\0\0rest"), Content::Weights(ModelFormat::Gguf));
        assert_eq!(content(&safetensors()), Content::Weights(ModelFormat::Safetensors));
        let tflite = b"\x0c\0\0\0TFL3\0\0\0\0\0\0\0\0";
        assert_eq!(content(tflite), Content::Weights(ModelFormat::Tflite));
        assert_eq!(content(ONNX), Content::Weights(ModelFormat::Onnx));
    }

    #[test]
    fn is_not_fooled() {
        let mut cut = safetensors();
        cut.truncate(20);
        let mut huge = safetensors();
        huge[..8].copy_from_slice(&u64::MAX.to_le_bytes());
        let cases: &[&[u8]] = &[
            b"",
            b"\0",
            b"\0as",
            b"GGUF\x09\0\0\0",
            b"\xff\0\0\0TFL3",
            b"hello, world",
            b"{\"json\": true}",
            &cut,
            &huge,
            &[0xff; 64],
            &ONNX[..5],
            &ONNX[2..],
            &ONNX[..2],
            &[0x08, 0x08, 0x3a, 0xff, 0xff, 0xff, 0xff, 0x7f],
            &[0; 32],
        ];
        for case in cases {
            assert_eq!(content(case), Content::Unknown, "{case:?}");
        }
    }
}
