//! From bytes to [`Code`]: what is refused before the compiler sees it, the cache, and the compiler's own faults.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
};

use sha2::{Digest as _, Sha256};
use wasmtime::{Module, component::Component};

use super::{
    Engine,
    config::{EngineConfig, MAX_WASM_BYTES},
    error::{CompileError, EngineError, WatError},
};
use crate::{
    code::{Code, Compiled, WasmKind},
    code_cache::CodeCache,
};

const MAGIC: &[u8] = b"\0asm";
const MODULE_VERSION: &[u8] = &[1, 0, 0, 0];
const COMPONENT_LAYER: &[u8] = &[1, 0];

/// Compiled code by digest, in the process and on disk.
#[derive(Debug)]
pub(super) struct Compiler {
    cache: CodeCache,
}

impl Compiler {
    pub(super) fn new(config: &EngineConfig, engine: &wasmtime::Engine) -> Result<Self, EngineError> {
        let cache = match &config.cache_dir {
            Some(dir) => CodeCache::open(dir, engine)?,
            None => CodeCache::in_process_only(),
        };
        Ok(Self { cache })
    }
}

/// Only with the feature `compiler`.
impl Engine {
    /// Compiles `wasm`, or takes it from the cache. `digest` is the SHA-256 of `wasm` in lower-case hex; it is checked.
    /// Several callers with the same digest compile once and share the result.
    ///
    /// Takes milliseconds to many seconds of CPU time: never call it on an async executor's thread.
    ///
    /// # Errors
    /// When `wasm` is not a WebAssembly binary (text and precompiled code included), does not match `digest`, is over
    /// [`MAX_WASM_BYTES`], or does not validate or compile. Faults of the cache are logged and never fail a compilation.
    pub fn compile(&self, wasm: &[u8], digest: &str) -> Result<Code, CompileError> {
        compile(&self.inner.wasmtime, &self.inner.compiler.cache, wasm, digest)
    }

    /// Where the compiled code of `digest` lies, for processes that open it without a compiler; `None` without a cache
    /// folder, or when it is not there.
    #[must_use]
    pub fn cached_file(&self, digest: &str) -> Option<PathBuf> {
        self.inner.compiler.cache.file(digest)
    }

    /// Converts the WebAssembly text format to a binary that [`compile`](Self::compile) takes.
    ///
    /// # Errors
    /// When `text` is not UTF-8 or not the text format.
    pub fn wat_to_wasm(text: &[u8]) -> Result<Vec<u8>, WatError> {
        let text = std::str::from_utf8(text)?;
        wat::parse_str(text).map_err(|source| WatError::Parse { source: source.into() })
    }
}

fn compile(engine: &wasmtime::Engine, cache: &CodeCache, wasm: &[u8], digest: &str) -> Result<Code, CompileError> {
    let kind = classify(wasm, digest)?;
    let actual = hex::encode(Sha256::digest(wasm));
    if actual != digest {
        return Err(CompileError::DigestMismatch {
            digest: cut(digest),
            actual,
        });
    }
    cache.get_or_compile(engine, &actual, kind, || {
        let compiled = catch_unwind(AssertUnwindSafe(|| match kind {
            WasmKind::Component => Component::from_binary(engine, wasm).map(Compiled::Component),
            WasmKind::CoreModule => Module::from_binary(engine, wasm).map(Compiled::Module),
        }));
        compiled
            .map_err(|_panic| CompileError::Panicked { digest: actual.clone() })?
            .map_err(|error| CompileError::Invalid {
                digest: actual.clone(),
                source: error.into(),
            })
    })
}

/// What `wasm` is; an error when it is not a WebAssembly binary of a reasonable size at all.
fn classify(wasm: &[u8], digest: &str) -> Result<WasmKind, CompileError> {
    if wasmtime::Engine::detect_precompiled(wasm).is_some() {
        return Err(CompileError::Precompiled { digest: cut(digest) });
    }
    if wasm.len() > MAX_WASM_BYTES {
        return Err(CompileError::TooLarge {
            digest: cut(digest),
            size: wasm.len(),
            limit: MAX_WASM_BYTES,
        });
    }
    match (wasm.get(..4), wasm.get(4..8)) {
        (Some(MAGIC), Some(MODULE_VERSION)) => Ok(WasmKind::CoreModule),
        (Some(MAGIC), Some([_, _, layer @ ..])) if layer == COMPONENT_LAYER => Ok(WasmKind::Component),
        _ => Err(CompileError::NotWasm {
            digest: cut(digest),
            text: looks_like_text(wasm),
        }),
    }
}

fn looks_like_text(bytes: &[u8]) -> bool {
    let start = bytes.trim_ascii_start();
    start.starts_with(b"(") || start.starts_with(b";;")
}

/// Digests come from callers that check them; a wrong one must still not fill a log line.
fn cut(digest: &str) -> String {
    digest.chars().take(128).collect()
}
