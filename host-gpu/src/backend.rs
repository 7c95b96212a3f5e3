//! The seam between tensor engines and everything above them: [`Backend`] loads a [`ModelSource`] into a [`Graph`],
//! which hands out [`ExecutionContext`]s that compute. Traits and plain data only; engines live beside this file.

mod compute_error;
mod fault;
mod load_error;

use std::{collections::BTreeMap, fmt, sync::Arc};

pub use compute_error::{ComputeError, ContextError};
pub use fault::EngineFault;
pub(crate) use fault::chain;
pub use load_error::LoadError;

use crate::{cancel::CancelToken, signature::Signature, tensor::NamedTensor};

/// The bytes of a model's file: a mapped blob as a rule, a `Vec<u8>` in tests.
pub type ModelBytes = Arc<dyn AsRef<[u8]> + Send + Sync>;

/// The format of a model; the names are wasi-nn's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Encoding {
    /// OpenVINO IR.
    Openvino,
    /// ONNX.
    Onnx,
    /// TensorFlow saved model.
    Tensorflow,
    /// TorchScript.
    Pytorch,
    /// TensorFlow Lite.
    Tensorflowlite,
    /// GGUF.
    Ggml,
    /// Whatever the bytes turn out to be.
    Autodetect,
}

impl Encoding {
    /// The lower-case name that wasi-nn uses: `onnx`, `ggml`...
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Openvino => "openvino",
            Self::Onnx => "onnx",
            Self::Tensorflow => "tensorflow",
            Self::Pytorch => "pytorch",
            Self::Tensorflowlite => "tensorflowlite",
            Self::Ggml => "ggml",
            Self::Autodetect => "autodetect",
        }
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A model as it lies: its main file, and the files that it refers to.
#[derive(Clone)]
pub struct ModelSource {
    /// What to call it in messages.
    pub name: String,
    /// Its format.
    pub encoding: Encoding,
    /// The main file.
    pub bytes: ModelBytes,
    /// ONNX external data, by the name that the main file uses. Empty for most models.
    pub external: BTreeMap<String, ModelBytes>,
}

impl ModelSource {
    /// A model of one file.
    #[must_use]
    pub fn new(name: impl Into<String>, encoding: Encoding, bytes: ModelBytes) -> Self {
        Self {
            name: name.into(),
            encoding,
            bytes,
            external: BTreeMap::new(),
        }
    }
}

impl fmt::Debug for ModelSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ModelSource")
            .field("name", &self.name)
            .field("encoding", &self.encoding)
            .field("bytes", &(*self.bytes).as_ref().len())
            .field("external", &self.external.keys().collect::<Vec<_>>())
            .finish()
    }
}

/// An engine that loads models of some formats.
pub trait Backend: fmt::Debug + Send + Sync {
    /// The engine's name, for users: `tract`, `onnxruntime`.
    fn name(&self) -> &'static str;

    /// The formats that [`load`](Self::load) takes.
    fn encodings(&self) -> &'static [Encoding];

    /// Parses, checks and optimises a model. Takes milliseconds to seconds of CPU time: never call it on an async
    /// executor's thread.
    ///
    /// # Errors
    /// When the model is malformed, over a limit, or uses what this engine does not have. A panic of the engine is an
    /// error too.
    fn load(&self, source: &ModelSource) -> Result<Arc<dyn Graph>, LoadError>;
}

/// A loaded model: immutable, shared by everybody who computes with it.
pub trait Graph: fmt::Debug + Send + Sync {
    /// Its inputs and outputs.
    fn signature(&self) -> &Signature;

    /// The engine that runs it: `tract`, `onnxruntime`.
    fn engine(&self) -> &'static str;

    /// Makes a context of its own for one user: contexts share the weights and nothing else.
    ///
    /// # Errors
    /// When the engine refuses.
    fn init_execution_context(&self) -> Result<Box<dyn ExecutionContext>, ContextError>;

    /// Host memory that the graph holds by estimate: the weights as the engine keeps them, per plan that it caches.
    fn resident_bytes(&self) -> u64;
}

/// One user's place to compute on a graph. Nothing of one compute is visible to the next.
pub trait ExecutionContext: Send {
    /// Runs the graph once, on the calling thread: use the [`Scheduler`](crate::Scheduler) from async code.
    ///
    /// `inputs` may come in any order and must name each input of the signature once. The outputs come back in the
    /// signature's order.
    ///
    /// # Errors
    /// When an input does not fit the signature, when `cancel` stops the work, and when the engine fails. The context
    /// can be used again after an error, unless the engine panicked.
    fn compute(&mut self, inputs: Vec<NamedTensor>, cancel: &CancelToken) -> Result<Vec<NamedTensor>, ComputeError>;
}

impl fmt::Debug for dyn ExecutionContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ExecutionContext")
    }
}
