//! [`Engine`]: one wasmtime engine per process, with its pool, its epoch ticker and its code cache. Compilation goes
//! through here and nowhere else; what an artifact brings is never treated as compiled code.

mod compile;
mod config;
mod error;
mod ticker;

use std::{fmt, sync::Arc};

pub use config::{EngineConfig, PoolConfig};
pub use error::{CompileError, EngineError, WatError};
pub(crate) use ticker::Running;
use ticker::Ticker;

pub use compile::MAX_WASM_BYTES;

use crate::{code::Code, code_cache::CodeCache};

/// Compiles guests and owns what they share: the instance pool, the epoch ticker, the code cache. Clones are the same
/// engine; the ticker thread is joined when the last one goes.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    wasmtime: wasmtime::Engine,
    ticker: Ticker,
    cache: CodeCache,
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
        let cache = match &config.cache_dir {
            Some(dir) => CodeCache::open(dir, &wasmtime)?,
            None => CodeCache::in_process_only(),
        };
        let ticker = Ticker::start(wasmtime.weak(), config.epoch_tick)?;
        Ok(Self {
            inner: Arc::new(Inner {
                wasmtime,
                ticker,
                cache,
                pooled,
            }),
        })
    }

    /// Compiles `wasm`, or takes it from the cache. `digest` is the SHA-256 of `wasm` in lower-case hex; it is checked.
    /// Several callers with the same digest compile once and share the result.
    ///
    /// Takes milliseconds to many seconds of CPU time: never call it on an async executor's thread.
    ///
    /// # Errors
    /// When `wasm` is not a WebAssembly binary (text and precompiled code included), does not match `digest`, is over
    /// [`MAX_WASM_BYTES`], or does not validate or compile. Faults of the cache are logged and never fail a compilation.
    pub fn compile(&self, wasm: &[u8], digest: &str) -> Result<Code, CompileError> {
        compile::compile(&self.inner.wasmtime, &self.inner.cache, wasm, digest)
    }

    /// Converts the WebAssembly text format to a binary that [`compile`](Self::compile) takes.
    ///
    /// # Errors
    /// When `text` is not UTF-8 or not the text format.
    pub fn wat_to_wasm(text: &[u8]) -> Result<Vec<u8>, WatError> {
        let text = std::str::from_utf8(text)?;
        Ok(wat::parse_str(text)?)
    }

    /// Whether instances come from the pool. `false` after its reservation was refused.
    #[must_use]
    pub fn is_pooled(&self) -> bool {
        self.inner.pooled
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
            .field("cache", &self.inner.cache)
            .finish()
    }
}
