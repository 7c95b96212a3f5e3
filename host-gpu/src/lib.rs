//! Tensor work for Dunlin: tensors and their files, model graphs, the engines that run them, memory budgets and the
//! compute scheduler. The seam is [`Backend`] -> [`Graph`] -> [`ExecutionContext`]; [`Engines`] chooses a backend.
//! This crate knows nothing of WebAssembly, registries or configuration files, and never reads the environment.

mod device;
mod panics;
mod tensor;
mod tensor_file;

mod signature;

mod backend;
mod cancel;

mod engines;
mod onnx;

mod budget;
mod scheduler;

pub use backend::{
    Backend, ComputeError, ContextError, Encoding, EngineFault, ExecutionContext, Graph, LoadError, ModelBytes,
    ModelSource,
};
pub use budget::{BudgetExceeded, MemoryBudget, Reservation};
pub use cancel::{CancelToken, Stopped};
pub use device::{Device, DeviceError};
pub use engines::{
    Candidate, EngineChoice, EngineConfig, EngineError, EngineReport, Engines, ModelLimits, UnknownEngine,
};
pub use onnx::{PrepareError, external_files};
pub use scheduler::{Scheduler, SchedulerConfig, SchedulerError, SharedContext};
pub use signature::{Dim, Signature, TensorSpec};
pub use tensor::{ElementType, NamedTensor, Tensor, TensorError, UnknownElementType};
pub use tensor_file::{TensorFileError, npy, onnx_proto};
