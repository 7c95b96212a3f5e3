//! [`ComputeError`]: every way in which one compute can fail, from a wrong input to a panic in the engine.

use super::fault::EngineFault;
use crate::{cancel::Stopped, tensor::ElementType};

/// Why a compute gave no outputs.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ComputeError {
    /// An input of the graph was not given.
    #[error("input `{input}` is missing")]
    MissingInput {
        /// The input that was not given.
        input: String,
    },
    /// A tensor's name is not an input of the graph.
    #[error("the model has no input `{input}`")]
    UnknownInput {
        /// The name given, cut to 128 characters.
        input: String,
        /// The graph's inputs.
        known: Vec<String>,
    },
    /// Two tensors have the same name.
    #[error("input `{input}` was given twice")]
    DuplicateInput {
        /// The name given twice.
        input: String,
    },
    /// An input has another element type.
    #[error("input `{input}` takes {expected}, but {given} was given")]
    WrongElementType {
        /// The input.
        input: String,
        /// What the graph takes.
        expected: ElementType,
        /// What was given.
        given: ElementType,
    },
    /// An input has another number of dimensions.
    #[error("input `{input}` takes {expected} dimension(s), but a tensor of shape {given:?} was given")]
    WrongRank {
        /// The input.
        input: String,
        /// Rank that the graph takes.
        expected: usize,
        /// Shape given.
        given: Vec<usize>,
    },
    /// A fixed dimension has another size.
    #[error("input `{input}` takes {expected} in dimension {axis}, but {given} was given")]
    WrongDim {
        /// The input.
        input: String,
        /// The dimension, from 0.
        axis: usize,
        /// Size that the graph takes.
        expected: usize,
        /// Size given.
        given: usize,
    },
    /// A symbolic dimension would have two sizes in one compute.
    #[error("input `{input}` has {given} in dimension {axis} (`{symbol}`), which an earlier dimension set to {bound}")]
    SymbolConflict {
        /// The input.
        input: String,
        /// The dimension, from 0.
        axis: usize,
        /// Name of the dimension.
        symbol: String,
        /// Size that it had already.
        bound: usize,
        /// Size given now.
        given: usize,
    },
    /// An intermediate tensor or an output would be larger than allowed, or its size overflows.
    #[error("`{tensor}` would take {} bytes with these inputs, over the limit of {limit}", asked.map_or_else(|| "uncountable".to_owned(), |bytes| bytes.to_string()))]
    TensorTooLarge {
        /// The node or output that makes it.
        tensor: String,
        /// Bytes that it would take; `None` when that overflows.
        asked: Option<u64>,
        /// Bytes allowed for one tensor.
        limit: u64,
    },
    /// An output is of a kind that cannot cross the seam (strings, sequences, complex numbers).
    #[error("output `{output}` is of type {given}, which is not supported")]
    UnsupportedOutput {
        /// The output.
        output: String,
        /// What the engine made of it.
        given: String,
    },
    /// The engine failed.
    #[error("{engine} failed in {step}")]
    Engine {
        /// The engine.
        engine: &'static str,
        /// What it was doing: preparing a shape, or the node that failed.
        step: String,
        /// The engine's account.
        source: EngineFault,
    },
    /// The engine panicked. The context is lost; the process and the graph live on.
    #[error("the engine panicked: {message}")]
    EnginePanicked {
        /// Text of the panic, cut to 512 characters.
        message: String,
    },
    /// An earlier compute on this context panicked.
    #[error("the execution context is lost: an earlier compute on it panicked")]
    Poisoned,
    /// The scheduler's queue is full.
    #[error("{queue_depth} computes are waiting already")]
    Busy {
        /// Computes that may wait at once.
        queue_depth: usize,
    },
    /// The caller or the deadline stopped the compute.
    #[error("the compute was stopped")]
    Stopped(#[source] Stopped),
    /// The scheduler is shutting down.
    #[error("the scheduler is shutting down")]
    ShuttingDown,
}

impl ComputeError {
    /// One line telling the user what to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::UnknownInput { known, .. } => format!("the model's inputs are: {}", known.join(", ")),
            Self::MissingInput { .. } => "every input of the model must be given, each once".to_owned(),
            Self::WrongElementType { expected, .. } => format!("convert the data to {expected}"),
            Self::TensorTooLarge { .. } => "give smaller inputs, or raise the limit".to_owned(),
            Self::Busy { .. } => "try again later, or raise the queue depth".to_owned(),
            Self::Poisoned => "make a new execution context".to_owned(),
            Self::Stopped(Stopped::DeadlinePassed) => "give smaller inputs, or raise the deadline".to_owned(),
            _ => return None,
        })
    }

    /// Whether the inputs are to blame, rather than the model, the engine or the load of the machine.
    #[must_use]
    pub fn is_invalid_input(&self) -> bool {
        matches!(
            self,
            Self::MissingInput { .. }
                | Self::UnknownInput { .. }
                | Self::DuplicateInput { .. }
                | Self::WrongElementType { .. }
                | Self::WrongRank { .. }
                | Self::WrongDim { .. }
                | Self::SymbolConflict { .. }
        )
    }
}

impl From<Stopped> for ComputeError {
    fn from(stopped: Stopped) -> Self {
        Self::Stopped(stopped)
    }
}

/// Why a graph gave no execution context.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ContextError {
    /// The engine refused.
    #[error("{engine} made no execution context")]
    Engine {
        /// The engine.
        engine: &'static str,
        /// The engine's account.
        source: EngineFault,
    },
}

impl ContextError {
    /// One line telling the user what to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        None
    }
}
