//! [`CodeCache`]: compiled code by digest, shared in the process and kept on disk under
//! `<cache_dir>/<engine fingerprint>/<wasm digest>.cwasm`. Only files that this user wrote, and that still have the bytes
//! that were written, are mapped; anything else is ignored with a warning and compiled again.

mod dir;
mod entry;
mod fingerprint;
mod flight;

use std::{fmt, path::Path};

use dir::CacheDir;
use flight::Flights;

use crate::{
    code::{Code, Compiled},
    engine::EngineError,
};

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
        component: bool,
        compile: impl FnOnce() -> Result<Compiled, E>,
    ) -> Result<Code, E> {
        self.flights.run(digest, || {
            if let Some(disk) = &self.disk
                && let Some(compiled) = entry::load(disk, engine, digest, component)
            {
                return Ok(Code::new(digest, compiled));
            }
            let compiled = compile()?;
            if let Some(disk) = &self.disk {
                entry::store(disk, digest, &compiled);
            }
            Ok(Code::new(digest, compiled))
        })
    }
}

impl fmt::Debug for CodeCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CodeCache")
            .field("dir", &self.disk.as_ref().map(CacheDir::path))
            .finish()
    }
}
