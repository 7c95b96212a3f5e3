//! [`Format`]: what a file of weights is, by its content, and the way to its header's reader.

use std::io;

use crate::{HeaderError, ReadAt, Visitor, gguf, onnx, safetensors, tflite};

/// Formats of weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// GGUF.
    Gguf,
    /// safetensors.
    Safetensors,
    /// ONNX (`ModelProto`).
    Onnx,
    /// TensorFlow Lite.
    Tflite,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Gguf, Self::Safetensors, Self::Onnx, Self::Tflite];

    /// The format of `source`, if it is one of these. Reads little of it and keeps next to nothing, whatever it claims.
    ///
    /// # Errors
    /// When reading fails; content that merely ends too early is of no format.
    pub fn detect(source: &dyn ReadAt) -> io::Result<Option<Self>> {
        if source.size() < 8 {
            // ONNX has no magic, and no model of its fits in so little.
            return Ok(None);
        }
        let mut head = [0; 8];
        source.read_exact_at(&mut head, 0)?;
        if gguf::detect(head) {
            return Ok(Some(Self::Gguf));
        }
        if tflite::detect(head, source.size()) {
            return Ok(Some(Self::Tflite));
        }
        if safetensors::detect(source)? {
            return Ok(Some(Self::Safetensors));
        }
        Ok(onnx::detect(source)?.then_some(Self::Onnx))
    }

    /// Tells `visitor` what the header of `source` says, as a file of this format.
    ///
    /// # Errors
    /// When reading fails, or the header is malformed; the visitor may have been told of a part by then.
    pub fn read(self, source: &dyn ReadAt, visitor: &mut dyn Visitor) -> Result<(), HeaderError> {
        match self {
            Self::Gguf => gguf::read(source, visitor),
            Self::Safetensors => safetensors::read(source, visitor),
            Self::Onnx => onnx::read(source, visitor),
            Self::Tflite => tflite::read(source, visitor),
        }
    }

    /// The name that ModelPack configs use, and the extension of such files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Gguf => "gguf",
            Self::Safetensors => "safetensors",
            Self::Onnx => "onnx",
            Self::Tflite => "tflite",
        }
    }
}
