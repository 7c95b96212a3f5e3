//! [`EngineError`]: why the engines could not be set up.

use std::path::PathBuf;

use crate::{backend::EngineFault, device::DeviceError};

/// Why the engines could not be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The device cannot be used.
    #[error("the engines cannot use the device")]
    Device(#[from] DeviceError),
    /// A libonnxruntime was named, and there is no such file.
    #[error("there is no libonnxruntime at {}", path.display())]
    LibraryNotFound {
        /// The path that was named.
        path: PathBuf,
    },
    /// onnxruntime was asked for by name, and no library was found.
    #[error("onnxruntime was asked for, but no libonnxruntime was named or found in {searched:?}")]
    NoLibrary {
        /// The folders that were searched.
        searched: Vec<PathBuf>,
    },
    /// The library does not load, or is too old.
    #[error("onnxruntime does not load from {}", path.display())]
    Library {
        /// The library.
        path: PathBuf,
        /// The loader's account.
        source: EngineFault,
    },
    /// The process already uses another libonnxruntime; one process can hold only one.
    #[error("onnxruntime does not load from {}: this process already uses {}", path.display(), loaded.display())]
    OtherLibrary {
        /// The library asked for.
        path: PathBuf,
        /// The library in use.
        loaded: PathBuf,
    },
    /// The system gave no thread.
    #[error("an engine thread did not start")]
    Thread {
        /// The system's account.
        source: std::io::Error,
    },
}

impl EngineError {
    /// One line telling the user what to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Device(source) => source.hint(),
            Self::LibraryNotFound { .. } | Self::NoLibrary { .. } => Some(
                "name the path of a libonnxruntime.so (1.17 or later), or use the built-in engine `tract`".to_owned(),
            ),
            Self::Library { .. } => {
                Some("the library must be onnxruntime 1.17 or later, built for this processor and C library".to_owned())
            }
            Self::OtherLibrary { .. } | Self::Thread { .. } => None,
        }
    }
}
