//! Errors of building an engine and of compiling code. Texts name what was refused; causes are sources.

use std::path::PathBuf;

use crate::BoxError;

/// Why there is no engine.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// Wasmtime refused the configuration.
    #[error("wasmtime did not start")]
    Wasmtime {
        /// Wasmtime's account.
        source: BoxError,
    },
    /// The tick is shorter than a millisecond.
    #[error("an epoch tick of {nanos} ns is shorter than 1 ms")]
    TickTooShort {
        /// Nanoseconds asked for.
        nanos: u128,
    },
    /// The ticker thread did not start.
    #[error("the epoch ticker thread did not start")]
    Ticker {
        /// The system's account.
        source: std::io::Error,
    },
    /// The code cache folder cannot be made or read.
    #[error("code cache {} cannot be used", path.display())]
    CacheDir {
        /// The folder.
        path: PathBuf,
        /// The system's account.
        source: std::io::Error,
    },
    /// The code cache folder belongs to somebody else, or others may write to it.
    #[error("code cache {} is not ours alone: owner {owner}, mode {mode:03o}", path.display())]
    CacheDirNotPrivate {
        /// The folder.
        path: PathBuf,
        /// User id of its owner.
        owner: u32,
        /// Its permission bits.
        mode: u32,
    },
}

impl EngineError {
    /// One line telling the user what to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::TickTooShort { .. } => Some("use a tick between 1 ms and 1 s".to_owned()),
            Self::CacheDir { path, .. } => Some(format!(
                "make {} writable for this user, or choose another cache folder",
                path.display()
            )),
            Self::CacheDirNotPrivate { path, .. } => Some(format!(
                "run `chmod 700 {0}` as this user, or choose another cache folder: whoever can write there runs code here",
                path.display()
            )),
            Self::Wasmtime { .. } | Self::Ticker { .. } => None,
        }
    }
}

/// Why code was not compiled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompileError {
    /// The bytes are compiled code, not WebAssembly.
    #[error("wasm {digest} is precompiled machine code, which is never loaded from outside")]
    Precompiled {
        /// Digest given.
        digest: String,
    },
    /// The bytes are not a WebAssembly binary.
    #[error("wasm {digest} is not a WebAssembly binary")]
    NotWasm {
        /// Digest given.
        digest: String,
        /// Whether it looks like the text format.
        text: bool,
    },
    /// The bytes are not those that the digest names.
    #[error("wasm {digest} has digest {actual}")]
    DigestMismatch {
        /// Digest given, cut to 128 characters.
        digest: String,
        /// Digest of the bytes.
        actual: String,
    },
    /// More bytes than are compiled.
    #[error("wasm {digest} has {size} bytes, over the limit of {limit}")]
    TooLarge {
        /// Digest given.
        digest: String,
        /// Bytes given.
        size: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// It does not validate, or needs more than the engine has.
    #[error("wasm {digest} does not compile")]
    Invalid {
        /// Digest given.
        digest: String,
        /// Wasmtime's account.
        source: BoxError,
    },
    /// The compiler panicked on it; the process lives on.
    #[error("the compiler panicked on wasm {digest}")]
    Panicked {
        /// Digest given.
        digest: String,
    },
}

impl CompileError {
    /// One line telling the user what to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Precompiled { .. } => {
                Some("ship the .wasm file; each node compiles it once and caches the result".to_owned())
            }
            Self::NotWasm { text: true, .. } => {
                Some("this looks like the text format: convert it to a binary first".to_owned())
            }
            Self::NotWasm { text: false, .. } => Some("build the guest for wasm32-wasip2 or wasm32-wasip1".to_owned()),
            Self::Panicked { .. } => Some("please report this module: it is a fault of the compiler".to_owned()),
            Self::DigestMismatch { .. } | Self::TooLarge { .. } | Self::Invalid { .. } => None,
        }
    }
}

/// Why compiled code was not opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenCodeError {
    /// There is no such file, or no sum beside it.
    #[error("there is no compiled code of wasm {digest} at {}", path.display())]
    Missing {
        /// Digest given.
        digest: String,
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The file cannot be read, or others may have written to it.
    #[error("compiled code {} cannot be trusted", path.display())]
    File {
        /// The file, or its sum's.
        path: PathBuf,
        /// What is wrong with it.
        source: std::io::Error,
    },
    /// The bytes are not those that were written.
    #[error("compiled code {} has SHA-256 {actual}, but {expected:?} was written", path.display())]
    Sum {
        /// The file.
        path: PathBuf,
        /// Sum of its bytes.
        actual: String,
        /// Sum kept beside it.
        expected: String,
    },
    /// It was compiled by another version or for another machine or configuration.
    #[error("compiled code {} does not fit this engine", path.display())]
    Unfit {
        /// The file.
        path: PathBuf,
        /// Wasmtime's account.
        source: BoxError,
    },
}

impl OpenCodeError {
    /// One line telling the user what to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Missing { .. } | Self::Unfit { .. } => "compile the wasm again with this version".to_owned(),
            Self::File { path, .. } => format!(
                "{} must belong to this user and be writable by nobody else",
                path.display()
            ),
            Self::Sum { path, .. } => format!("remove {} and compile the wasm again", path.display()),
        })
    }
}

/// Why text was not converted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WatError {
    /// It is not text.
    #[error("the WebAssembly text is not UTF-8")]
    NotUtf8(#[from] std::str::Utf8Error),
    /// It is not the text format.
    #[error("the WebAssembly text does not parse")]
    Parse {
        /// Where, and what was expected.
        source: BoxError,
    },
}

impl WatError {
    /// One line telling the user what to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        None
    }
}
