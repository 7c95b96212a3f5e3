//! [`LoadError`]: every way in which a model can be refused, with the model's name and the engine's account.

use std::sync::Arc;

use super::{Encoding, fault::EngineFault};
use crate::{engines::EngineError, onnx::PrepareError};

/// Why a model was not loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// No engine of this build takes the format.
    #[error("model `{model}`: no engine of this build loads {encoding}")]
    UnsupportedEncoding {
        /// The model.
        model: String,
        /// Its format.
        encoding: Encoding,
    },
    /// The file is malformed, or over a limit.
    #[error("model `{model}` is refused")]
    Refused {
        /// The model.
        model: String,
        /// What is wrong with it.
        source: PrepareError,
    },
    /// The engine does not take this model.
    #[error("{engine} does not load model `{model}`")]
    Engine {
        /// The engine.
        engine: &'static str,
        /// The model.
        model: String,
        /// The engine's account.
        source: EngineFault,
    },
    /// The engine could not be started.
    #[error("model `{model}`: {engine} does not start")]
    EngineUnavailable {
        /// The engine.
        engine: &'static str,
        /// The model.
        model: String,
        /// Why it does not start.
        source: Arc<EngineError>,
    },
    /// An input or output is of a kind that cannot cross the seam (strings, sequences, optionals).
    #[error("model `{model}`: `{tensor}` is of type {given}, which is not supported")]
    UnsupportedTensor {
        /// The model.
        model: String,
        /// The input or output.
        tensor: String,
        /// Its type.
        given: String,
    },
    /// The engine panicked on this model; the process lives on.
    #[error("{engine} panicked on model `{model}`: {message}")]
    Panicked {
        /// The engine.
        engine: &'static str,
        /// The model.
        model: String,
        /// Text of the panic, cut to 512 characters.
        message: String,
    },
    /// The built-in engine refused, and there was no library to fall back to.
    #[error("no engine loads model `{model}`, and there is no libonnxruntime to fall back to")]
    NoFallback {
        /// The model.
        model: String,
        /// Why the built-in engine refused.
        source: Box<LoadError>,
    },
    /// The built-in engine and the fallback both refused.
    #[error("no engine loads model `{model}` (tract: {builtin})")]
    AllRefused {
        /// The model.
        model: String,
        /// Why the built-in engine refused: its whole chain of causes.
        builtin: String,
        /// Why the fallback refused.
        source: Box<LoadError>,
    },
    /// No thread could be started to load it.
    #[error("model `{model}`: no thread to load it on")]
    Thread {
        /// The model.
        model: String,
        /// The system's account.
        source: std::io::Error,
    },
}

impl LoadError {
    /// One line telling the user what to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::UnsupportedEncoding { .. } => Some("give the model as ONNX".to_owned()),
            Self::NoFallback { .. } => Some(
                "name a libonnxruntime.so (1.17 or later), which loads more models than the built-in engine".to_owned(),
            ),
            Self::Refused { source, .. } => source.hint(),
            Self::AllRefused { source, .. } => source.hint(),
            Self::EngineUnavailable { source, .. } => source.hint(),
            Self::Engine { .. } | Self::UnsupportedTensor { .. } | Self::Panicked { .. } | Self::Thread { .. } => None,
        }
    }

    /// Whether another engine may yet load the model: the model is well-formed and within the limits.
    pub(crate) fn concerns_one_engine(&self) -> bool {
        matches!(
            self,
            Self::Engine { .. } | Self::Panicked { .. } | Self::EngineUnavailable { .. }
        )
    }
}
