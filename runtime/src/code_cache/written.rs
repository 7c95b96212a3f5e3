//! [`CodeCache`]: the cache of an engine that compiles. It alone writes to the folder.

mod dir;
mod fingerprint;
mod flight;
mod store;

use std::{
    fmt,
    path::{Path, PathBuf},
};

use dir::CacheDir;
use flight::Flights;

use crate::{
    code::{Code, Compiled, WasmKind},
    engine::EngineError,
};

/// Hex digits of a SHA-256.
const DIGEST_LEN: usize = 64;

/// Compiled code in the process and, with a folder, on disk.
pub(crate) struct CodeCache {
    disk: Option<CacheDir>,
    flights: Flights,
}

impl CodeCache {
    /// A cache below `dir` for code of `engine`.
    pub(crate) fn open(dir: &Path, engine: &wasmtime::Engine) -> Result<Self, EngineError> {
        let fingerprint = fingerprint::of(engine);
        Ok(Self {
            disk: Some(CacheDir::open(dir, &fingerprint)?),
            flights: Flights::default(),
        })
    }

    /// A cache that keeps nothing on disk.
    pub(crate) fn in_process_only() -> Self {
        Self {
            disk: None,
            flights: Flights::default(),
        }
    }

    /// The code of `digest` from the process, else from disk, else from `compile`. Callers with one digest wait for one
    /// compilation; an error is not kept. `digest` must be 64 hex digits: it becomes a file name.
    pub(crate) fn get_or_compile<E>(
        &self,
        engine: &wasmtime::Engine,
        digest: &str,
        kind: WasmKind,
        compile: impl FnOnce() -> Result<Compiled, E>,
    ) -> Result<Code, E> {
        self.flights.run(digest, || {
            if let Some(disk) = &self.disk
                && let Some(code) = store::load(disk, engine, digest, kind)
            {
                return Ok(code);
            }
            let compiled = compile()?;
            if let Some(disk) = &self.disk {
                store::keep(disk, digest, &compiled);
            }
            Ok(Code::new(digest, compiled))
        })
    }

    /// The file of `digest`, when it is there.
    pub(crate) fn file(&self, digest: &str) -> Option<PathBuf> {
        let plain = digest.len() == DIGEST_LEN && digest.bytes().all(|byte| byte.is_ascii_hexdigit());
        let path = self.disk.as_ref().filter(|_| plain)?.code_path(digest);
        path.exists().then_some(path)
    }
}

impl fmt::Debug for CodeCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CodeCache")
            .field("dir", &self.disk.as_ref().map(CacheDir::path))
            .finish()
    }
}
