//! [`TensorFileError`]: why a tensor's file was not read.

use crate::{onnx::PrepareError, tensor::TensorError};

/// Why a tensor's file was not read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TensorFileError {
    /// The file does not begin as a `.npy` file does.
    #[error("not a NumPy file: the first six bytes are not \\x93NUMPY")]
    Magic,
    /// A version of the format that is not known.
    #[error("NumPy format {major}.{minor} is not supported")]
    Version {
        /// Major version.
        major: u8,
        /// Minor version.
        minor: u8,
    },
    /// The file ends before its header or its data does.
    #[error("the file holds {given} bytes, but {what} needs {needed}")]
    Truncated {
        /// What is cut short.
        what: &'static str,
        /// Bytes needed.
        needed: usize,
        /// Bytes given.
        given: usize,
    },
    /// Data follows where the tensor has ended.
    #[error("{excess} bytes follow the tensor's data")]
    TrailingData {
        /// Bytes too many.
        excess: usize,
    },
    /// The header is no dictionary with `descr`, `fortran_order` and `shape`.
    #[error("the NumPy header is malformed: {what}")]
    Header {
        /// What is wrong with it.
        what: &'static str,
    },
    /// The element type cannot cross the seam (objects, strings, dates, records, complex numbers).
    #[error("NumPy type `{descr}` is not supported")]
    ElementType {
        /// The type, cut to 64 characters.
        descr: String,
    },
    /// The tensor's file is larger than is read.
    #[error("the file takes {bytes} bytes, over the limit of {limit}")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The largest that is read.
        limit: usize,
    },
    /// The shape is impossible.
    #[error("the tensor is impossible")]
    Tensor(#[from] TensorError),
    /// The bytes are not a `TensorProto`.
    #[error("not an ONNX tensor")]
    Decode(#[from] prost::DecodeError),
    /// The `TensorProto` is malformed.
    #[error("the ONNX tensor is refused")]
    Proto(#[from] PrepareError),
}

impl TensorFileError {
    /// One line telling the user what to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::ElementType { .. } => Some("convert the array to numbers or booleans before saving it".to_owned()),
            Self::Version { .. } => Some("save the array again with numpy.save".to_owned()),
            Self::Proto(source) => source.hint(),
            Self::Tensor(source) => source.hint(),
            _ => None,
        }
    }
}
