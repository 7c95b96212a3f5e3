//! From a verified module to compiled code: text converted, bytes compiled or taken from the cache.

use dunlin_models::Digest;
use dunlin_runtime::{Code, CompileError, Engine, EngineError, PoolConfig, WatError};
use thiserror::Error;

use crate::{Node, open::Module};

/// Why there is no code.
#[derive(Debug, Error)]
pub enum CodeError {
    /// There is no engine.
    #[error("the WebAssembly engine does not start")]
    Engine(#[from] EngineError),
    /// The text is no WebAssembly.
    #[error("`{name}` is not WebAssembly text")]
    Text {
        /// The module.
        name: String,
        /// Where and why.
        #[source]
        source: WatError,
    },
    /// The bytes do not compile.
    #[error("`{name}` does not compile")]
    Compile {
        /// The module.
        name: String,
        /// Why.
        #[source]
        source: CompileError,
    },
}

impl CodeError {
    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Engine(error) => error.hint(),
            Self::Text { source, .. } => source.hint(),
            Self::Compile { source, .. } => source.hint(),
        }
    }
}

impl Node {
    /// A WebAssembly engine with this machine's code cache and room for `instances` instances at once.
    ///
    /// # Errors
    /// wasmtime refuses the configuration, or the cache folder is not this user's.
    pub fn wasm_engine(&self, instances: u32) -> Result<Engine, EngineError> {
        Engine::new(dunlin_runtime::EngineConfig {
            cache_dir: Some(self.environment().code_dir()),
            pool: PoolConfig {
                max_instances: instances,
                ..PoolConfig::default()
            },
            ..dunlin_runtime::EngineConfig::default()
        })
    }
}

/// Compiles `module`, on a thread that may take its time.
///
/// # Errors
/// See [`CodeError`].
pub(crate) fn compile(engine: &Engine, module: &Module) -> Result<Code, CodeError> {
    let bytes = (*module.code).as_ref();
    let compiled = |bytes: &[u8], digest: &Digest| {
        engine
            .compile(bytes, &digest.hex())
            .map_err(|source| CodeError::Compile {
                name: module.name.clone(),
                source,
            })
    };
    if bytes.starts_with(b"\0asm") || !module.is_text {
        return compiled(bytes, &module.digest);
    }
    let wasm = Engine::wat_to_wasm(bytes).map_err(|source| CodeError::Text {
        name: module.name.clone(),
        source,
    })?;
    compiled(&wasm, &Digest::of(&wasm))
}
