//! From bytes to [`Code`]: what is refused before the compiler sees it, the cache, and the compiler's own faults.

use std::panic::{AssertUnwindSafe, catch_unwind};

use sha2::{Digest as _, Sha256};
use wasmtime::{Module, component::Component};

use super::error::CompileError;
use crate::{
    code::{Code, Compiled},
    code_cache::CodeCache,
};

/// Largest WebAssembly binary that is compiled, in bytes: the largest guests known (language runtimes with their
/// libraries) are a quarter of it, and compiling takes a multiple of it in memory.
pub const MAX_WASM_BYTES: usize = 256 << 20;

const MAGIC: &[u8] = b"\0asm";
const MODULE_VERSION: &[u8] = &[1, 0, 0, 0];
const COMPONENT_LAYER: &[u8] = &[1, 0];

pub(super) fn compile(
    engine: &wasmtime::Engine,
    cache: &CodeCache,
    wasm: &[u8],
    digest: &str,
) -> Result<Code, CompileError> {
    let component = classify(wasm, digest)?;
    let actual = hex::encode(Sha256::digest(wasm));
    if actual != digest {
        return Err(CompileError::DigestMismatch {
            digest: cut(digest),
            actual,
        });
    }
    cache.get_or_compile(engine, &actual, component, || {
        let compiled = catch_unwind(AssertUnwindSafe(|| {
            if component {
                Component::from_binary(engine, wasm).map(Compiled::Component)
            } else {
                Module::from_binary(engine, wasm).map(Compiled::Module)
            }
        }));
        compiled
            .map_err(|_panic| CompileError::Panicked { digest: actual.clone() })?
            .map_err(|error| CompileError::Invalid {
                digest: actual.clone(),
                source: error.into(),
            })
    })
}

/// Whether `wasm` is a component; an error when it is not a WebAssembly binary of a reasonable size at all.
fn classify(wasm: &[u8], digest: &str) -> Result<bool, CompileError> {
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
        (Some(MAGIC), Some(MODULE_VERSION)) => Ok(false),
        (Some(MAGIC), Some([_, _, layer @ ..])) if layer == COMPONENT_LAYER => Ok(true),
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
