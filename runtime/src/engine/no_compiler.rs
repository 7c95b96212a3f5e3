//! The place of the compiler in an engine that has none: code comes from [`Engine::open_cached`](super::Engine) alone, and
//! `cache_dir` is not looked at.

use super::{config::EngineConfig, error::EngineError};

#[derive(Debug)]
pub(super) struct Compiler;

impl Compiler {
    /// Never fails; the compiler's own does.
    pub(super) fn new(_config: &EngineConfig, _engine: &wasmtime::Engine) -> Result<Self, EngineError> {
        Ok(Self)
    }
}
