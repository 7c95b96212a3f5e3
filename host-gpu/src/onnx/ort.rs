//! ONNX with onnxruntime: a plug-in for models that tract does not load. The library is found and opened at run time,
//! version 1.17 or later; nothing here runs, or is linked, without it. One process holds one library.

mod convert;
mod graph;
mod library;
mod watchdog;

use std::{
    num::NonZeroUsize,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::Arc,
};

use graph::OrtGraph;
use ort::{
    environment::Environment,
    session::{Session, builder::GraphOptimizationLevel},
};
use watchdog::Watchdog;

use super::prepare;
use crate::{
    backend::{Backend, Encoding, EngineFault, Graph, LoadError, ModelSource},
    engines::{EngineError, ModelLimits},
    panics,
    tensor::NamedTensor,
};

/// The engine's name.
pub(crate) const ORT: &str = "onnxruntime";

/// Loads ONNX models with onnxruntime.
#[derive(Debug)]
pub(crate) struct OrtBackend {
    environment: Environment,
    watchdog: Arc<Watchdog>,
    threads: NonZeroUsize,
    limits: ModelLimits,
}

impl OrtBackend {
    /// The first libonnxruntime in `folders`.
    pub(crate) fn find(folders: &[PathBuf]) -> Option<PathBuf> {
        library::find(folders)
    }

    /// Opens the library, once per process, and starts what watches over its runs.
    pub(crate) fn open(path: &Path, threads: NonZeroUsize, limits: ModelLimits) -> Result<Self, EngineError> {
        let environment = library::open(path)?;
        let watchdog = Watchdog::start().map_err(|source| EngineError::Thread { source })?;
        Ok(Self {
            environment,
            watchdog: Arc::new(watchdog),
            threads,
            limits,
        })
    }

    fn load_here(&self, source: &ModelSource) -> Result<OrtGraph, LoadError> {
        let model = || source.name.clone();
        let refused = |fault| LoadError::Refused {
            model: model(),
            source: fault,
        };
        prepare::scan(source, &self.limits).map_err(refused)?;
        let external = prepare::external_tensors(source).map_err(refused)?;
        let session = self
            .session((*source.bytes).as_ref(), &external)
            .map_err(|fault| LoadError::Engine {
                engine: ORT,
                model: model(),
                source: fault,
            })?;
        let files = source.external.values().map(|file| (**file).as_ref().len());
        let bytes = files.fold((*source.bytes).as_ref().len(), usize::saturating_add);
        OrtGraph::new(
            model(),
            session,
            Arc::clone(&self.watchdog),
            bytes,
            self.limits.tensor_bytes,
        )
    }

    fn session(&self, bytes: &[u8], external: &[NamedTensor]) -> Result<Session, EngineFault> {
        let mut builder = Session::builder(&self.environment).map_err(EngineFault::new)?;
        builder = builder
            .with_optimization_level(GraphOptimizationLevel::Level3)
            .map_err(EngineFault::new)?;
        builder = builder
            .with_intra_threads(self.threads.get())
            .map_err(EngineFault::new)?;
        builder = builder.with_inter_threads(1).map_err(EngineFault::new)?;
        // Threads that spin between nodes would burn the cores of other guests.
        builder = builder.with_intra_op_spinning(false).map_err(EngineFault::new)?;
        // External files in memory need a newer API than 1.17 has, so the tensors are handed over one by one.
        for NamedTensor { name, tensor } in external {
            let value = convert::to_ort(tensor).map_err(EngineFault::new)?;
            builder = builder
                .with_external_initializer(name, value)
                .map_err(EngineFault::new)?;
        }
        builder.commit_from_memory(bytes).map_err(EngineFault::new)
    }
}

impl Backend for OrtBackend {
    fn name(&self) -> &'static str {
        ORT
    }

    fn encodings(&self) -> &'static [Encoding] {
        &[Encoding::Onnx]
    }

    fn load(&self, source: &ModelSource) -> Result<Arc<dyn Graph>, LoadError> {
        // The wrapper asserts what the library should never do.
        let loaded = catch_unwind(AssertUnwindSafe(|| self.load_here(source))).unwrap_or_else(|payload| {
            let message = panics::message(payload.as_ref());
            Err(LoadError::Panicked {
                engine: ORT,
                model: source.name.clone(),
                message,
            })
        });
        Ok(Arc::new(loaded?))
    }
}
