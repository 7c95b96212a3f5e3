//! ONNX: checks and normalises a model's protobuf before any engine sees it ([`prepare`]), binds inputs to its signature,
//! and runs it with `tract` (built in) or onnxruntime (a library found at run time).

mod inputs;
mod ort;
mod prepare;
mod tract;

pub(crate) use ort::{ORT, OrtBackend};
pub(crate) use prepare::tensor_from_proto;
pub use prepare::{PrepareError, external_files};
pub(crate) use tract::{TRACT, TractBackend};
