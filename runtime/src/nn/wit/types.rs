//! The package's enums and resources as component types, and their counterparts in the core. Case names and order are
//! those of the WIT file: the component model compares them.

use dunlin_host_gpu::{ElementType, Encoding};
use wasmtime::component::{ComponentType, Lift, Lower};

use super::super::error;
use crate::models::ExecutionTarget as CoreTarget;

/// `wasi:nn/tensor.tensor`.
pub(super) struct TensorResource;
/// `wasi:nn/graph.graph`.
pub(super) struct GraphResource;
/// `wasi:nn/inference.graph-execution-context`.
pub(super) struct ContextResource;
/// `wasi:nn/errors.error`.
pub(super) struct ErrorResource;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(enum)]
#[repr(u8)]
pub(super) enum TensorType {
    #[component(name = "FP16")]
    Fp16,
    #[component(name = "FP32")]
    Fp32,
    #[component(name = "FP64")]
    Fp64,
    #[component(name = "BF16")]
    Bf16,
    #[component(name = "U8")]
    U8,
    #[component(name = "I32")]
    I32,
    #[component(name = "I64")]
    I64,
}

#[derive(Clone, Copy, Debug, ComponentType, Lift, Lower)]
#[component(enum)]
#[repr(u8)]
#[allow(dead_code, reason = "made by lifting, which takes the case's number from the guest")]
pub(super) enum GraphEncoding {
    #[component(name = "openvino")]
    Openvino,
    #[component(name = "onnx")]
    Onnx,
    #[component(name = "tensorflow")]
    Tensorflow,
    #[component(name = "pytorch")]
    Pytorch,
    #[component(name = "tensorflowlite")]
    Tensorflowlite,
    #[component(name = "ggml")]
    Ggml,
    #[component(name = "autodetect")]
    Autodetect,
}

#[derive(Clone, Copy, Debug, ComponentType, Lift, Lower)]
#[component(enum)]
#[repr(u8)]
#[allow(dead_code, reason = "made by lifting, which takes the case's number from the guest")]
pub(super) enum ExecutionTarget {
    #[component(name = "cpu")]
    Cpu,
    #[component(name = "gpu")]
    Gpu,
    #[component(name = "tpu")]
    Tpu,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(enum)]
#[repr(u8)]
pub(super) enum ErrorCode {
    #[component(name = "invalid-argument")]
    InvalidArgument,
    #[component(name = "invalid-encoding")]
    InvalidEncoding,
    #[component(name = "timeout")]
    Timeout,
    #[component(name = "runtime-error")]
    RuntimeError,
    #[component(name = "unsupported-operation")]
    UnsupportedOperation,
    #[component(name = "too-large")]
    TooLarge,
    #[component(name = "not-found")]
    NotFound,
    #[component(name = "security")]
    Security,
    #[component(name = "unknown")]
    Unknown,
}

impl From<TensorType> for ElementType {
    fn from(ty: TensorType) -> Self {
        match ty {
            TensorType::Fp16 => Self::F16,
            TensorType::Fp32 => Self::F32,
            TensorType::Fp64 => Self::F64,
            TensorType::Bf16 => Self::Bf16,
            TensorType::U8 => Self::U8,
            TensorType::I32 => Self::I32,
            TensorType::I64 => Self::I64,
        }
    }
}

impl TensorType {
    /// `None` for a type that wasi-nn cannot name; the session makes no such tensor.
    pub(super) fn of(element_type: ElementType) -> Option<Self> {
        Some(match element_type {
            ElementType::F16 => Self::Fp16,
            ElementType::F32 => Self::Fp32,
            ElementType::F64 => Self::Fp64,
            ElementType::Bf16 => Self::Bf16,
            ElementType::U8 => Self::U8,
            ElementType::I32 => Self::I32,
            ElementType::I64 => Self::I64,
            _ => return None,
        })
    }
}

impl From<GraphEncoding> for Encoding {
    fn from(encoding: GraphEncoding) -> Self {
        match encoding {
            GraphEncoding::Openvino => Self::Openvino,
            GraphEncoding::Onnx => Self::Onnx,
            GraphEncoding::Tensorflow => Self::Tensorflow,
            GraphEncoding::Pytorch => Self::Pytorch,
            GraphEncoding::Tensorflowlite => Self::Tensorflowlite,
            GraphEncoding::Ggml => Self::Ggml,
            GraphEncoding::Autodetect => Self::Autodetect,
        }
    }
}

impl From<ExecutionTarget> for CoreTarget {
    fn from(target: ExecutionTarget) -> Self {
        match target {
            ExecutionTarget::Cpu => Self::Cpu,
            ExecutionTarget::Gpu => Self::Gpu,
            ExecutionTarget::Tpu => Self::Tpu,
        }
    }
}

impl From<error::ErrorCode> for ErrorCode {
    fn from(code: error::ErrorCode) -> Self {
        match code {
            error::ErrorCode::InvalidArgument => Self::InvalidArgument,
            error::ErrorCode::InvalidEncoding => Self::InvalidEncoding,
            error::ErrorCode::Timeout => Self::Timeout,
            error::ErrorCode::RuntimeError => Self::RuntimeError,
            error::ErrorCode::UnsupportedOperation => Self::UnsupportedOperation,
            error::ErrorCode::TooLarge => Self::TooLarge,
            error::ErrorCode::NotFound => Self::NotFound,
            error::ErrorCode::Security => Self::Security,
            error::ErrorCode::Unknown => Self::Unknown,
        }
    }
}
