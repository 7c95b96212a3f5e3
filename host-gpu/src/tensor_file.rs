//! Tensors in files: NumPy's [`npy`], and the single-tensor protobuf of ONNX data sets ([`onnx_proto`]). Both read from
//! bytes that the caller holds already; nothing here opens a file.

mod error;
pub mod npy;
pub mod onnx_proto;

pub use error::TensorFileError;
