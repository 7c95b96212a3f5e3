//! Headers of model files: GGUF, safetensors, ONNX and TFLite. [`Format::detect`] tells what a file is by its content,
//! [`Format::read`] hands its tensors and properties to a [`Visitor`], [`Summary`] is the visitor that counts them.
//!
//! Weights themselves are never read. Everything is hostile: it costs bounded time and memory whatever it claims.

mod error;
mod read_at;

mod element;
mod visitor;

mod protobuf;
mod walk;

mod gguf;
mod onnx;
mod safetensors;
mod tflite;

mod format;
mod summary;

pub use element::Element;
pub use error::HeaderError;
pub use format::Format;
pub use read_at::{FileAt, ReadAt};
pub use summary::Summary;
pub use visitor::{Tensor, Visitor};

/// Tensors of one file that are looked at.
const MAX_TENSORS: u64 = 1 << 17;
/// Longest name of a tensor or a property, in bytes; GGUF's own limit for keys.
const MAX_NAME: usize = 65_535;
/// Longest text of a property that is handed out, in bytes; longer ones, as chat templates, are passed over.
const MAX_TEXT: u64 = 4096;
