//! From the user's choice of device and engine to the engines of this process.

use std::{num::NonZeroUsize, path::PathBuf};

use dunlin_host_gpu::{Device, DeviceError, EngineChoice, EngineConfig, EngineError, Engines, ModelLimits};
use thiserror::Error;

use crate::Node;

/// What the user chose.
#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// `auto`, `cpu` or `cuda:N`.
    pub device: String,
    /// Which ONNX engine.
    pub engine: EngineChoice,
    /// A libonnxruntime; otherwise the environment's, otherwise the usual folders.
    pub onnxruntime: Option<PathBuf>,
    /// Threads of one inference, at least 1.
    pub threads: u16,
}

impl Default for EngineOptions {
    /// The built-in engine first, on the best device, one thread.
    fn default() -> Self {
        Self {
            device: "auto".to_owned(),
            engine: EngineChoice::Auto,
            onnxruntime: None,
            threads: 1,
        }
    }
}

/// Why the engines cannot be had.
#[derive(Debug, Error)]
pub enum EngineOptionsError {
    /// No such device.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// The engine refuses.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl EngineOptionsError {
    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Device(error) => error.hint(),
            Self::Engine(error) => error.hint(),
        }
    }
}

impl Node {
    /// The configuration that `options` and the environment give.
    ///
    /// # Errors
    /// The device's name is none.
    pub fn engine_config(&self, options: &EngineOptions) -> Result<EngineConfig, EngineOptionsError> {
        let environment = self.environment();
        Ok(EngineConfig {
            choice: options.engine,
            device: options.device.parse::<Device>()?,
            ort_library: options.onnxruntime.clone().or_else(|| environment.onnxruntime.clone()),
            ort_search: environment.onnxruntime_search.clone(),
            threads: NonZeroUsize::new(usize::from(options.threads)).unwrap_or(NonZeroUsize::MIN),
            limits: ModelLimits::default(),
        })
    }

    /// Starts the engines.
    ///
    /// # Errors
    /// The device is not there, or the engine that was asked for cannot be loaded.
    pub fn engines(&self, options: &EngineOptions) -> Result<Engines, EngineOptionsError> {
        Ok(Engines::new(self.engine_config(options)?)?)
    }
}
