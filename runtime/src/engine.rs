//! [`Engine`]: one wasmtime engine per process, with its pool, its epoch ticker and, with the feature `compiler`, its
//! compiler and code cache. Compilation goes through here and nowhere else; what an artifact brings is never treated as
//! compiled code.

#[cfg(feature = "compiler")]
mod compiler;
#[cfg(not(feature = "compiler"))]
#[path = "engine/no_compiler.rs"]
mod compiler;
mod config;
mod error;
mod ticker;

use std::{fmt, path::Path, sync::Arc};

use compiler::Compiler;
pub use config::{EngineConfig, MAX_WASM_BYTES, PoolConfig};
pub use error::{CompileError, EngineError, OpenCodeError, WatError};
pub(crate) use ticker::Running;
use ticker::Ticker;

use crate::{code::Code, code_cache, http::Tls, nn::Slabs};

/// Compiles guests and owns what they share: the instance pool, the epoch ticker, the code cache. Clones are the same
/// engine; the ticker thread is joined when the last one goes.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    wasmtime: wasmtime::Engine,
    ticker: Ticker,
    compiler: Compiler,
    slabs: Slabs,
    tls: Tls,
    pooled: bool,
}

impl Engine {
    /// Builds an engine and starts its ticker thread. When the system refuses the pool's reservation of address space,
    /// the engine allocates on demand instead and a warning says so.
    ///
    /// # Errors
    /// When wasmtime refuses the configuration, the ticker thread does not start, or the cache folder cannot be made
    /// or is not ours alone.
    pub fn new(config: EngineConfig) -> Result<Self, EngineError> {
        let (wasmtime, pooled) = config::build(&config)?;
        let compiler = Compiler::new(&config, &wasmtime)?;
        let ticker = Ticker::start(wasmtime.weak(), config.epoch_tick)?;
        Ok(Self {
            inner: Arc::new(Inner {
                wasmtime,
                ticker,
                compiler,
                slabs: Slabs::new(config.idle_tensor_bytes),
                tls: Tls::new(&config.extra_roots),
                pooled,
            }),
        })
    }

    /// Opens code that an engine with a compiler left at `file` for the wasm of SHA-256 `digest`: what
    /// [`cached_file`](Self::cached_file) names in such an engine. Its pages are shared by all processes that open it.
    ///
    /// The file holds machine code. It is opened only when this user (or root) owns it and the sum beside it, nobody else
    /// may write to either, and the bytes have that sum; the folder must be as private, which its owner sees to.
    ///
    /// # Errors
    /// See [`OpenCodeError`].
    pub fn open_cached(&self, file: &Path, digest: &str) -> Result<Code, OpenCodeError> {
        code_cache::open_file(&self.inner.wasmtime, file, digest)
    }

    /// Whether instances come from the pool. `false` after its reservation was refused.
    #[must_use]
    pub fn is_pooled(&self) -> bool {
        self.inner.pooled
    }

    /// Bytes of tensor buffers that wait for their next use, at most
    /// [`idle_tensor_bytes`](EngineConfig::idle_tensor_bytes).
    #[must_use]
    pub fn idle_tensor_bytes(&self) -> usize {
        self.inner.slabs.idle_bytes()
    }

    /// Frees the tensor buffers that wait for their next use: for a host that is short of memory.
    pub fn trim(&self) {
        self.inner.slabs.trim();
    }

    pub(crate) fn slabs(&self) -> &Slabs {
        &self.inner.slabs
    }

    pub(crate) fn tls(&self) -> &Tls {
        &self.inner.tls
    }

    pub(crate) fn wasmtime(&self) -> &wasmtime::Engine {
        &self.inner.wasmtime
    }

    pub(crate) fn ticker(&self) -> &Ticker {
        &self.inner.ticker
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("pooled", &self.inner.pooled)
            .field("compiler", &self.inner.compiler)
            .finish()
    }
}
