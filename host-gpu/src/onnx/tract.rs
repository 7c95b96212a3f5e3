//! ONNX on the CPU with `tract`: the engine that is always there. This module is the only one that names tract's types;
//! [`TractBackend`] is what the rest of the crate sees.

mod allocation;
mod cache;
mod conditional;
mod constants;
mod contraction;
mod convert;
mod faults;
mod graph;
mod guard;
mod load;
mod plan;
mod shapes;
mod switches;
mod template;
mod weights;

use std::{sync::Arc, thread};

use load::Loaded;

use super::prepare;
use crate::{
    backend::{Backend, Encoding, Graph, LoadError, ModelSource},
    engines::ModelLimits,
    panics,
};

/// The engine's name.
pub(crate) const TRACT: &str = "tract";

/// Decoding, shape inference and symbolic arithmetic recurse with the depth of the model; address space is all that an
/// unused stack costs.
const LOADER_STACK_BYTES: usize = 256 << 20;

/// Loads ONNX models with tract.
#[derive(Debug)]
pub(crate) struct TractBackend {
    limits: ModelLimits,
}

impl TractBackend {
    pub(crate) fn new(limits: ModelLimits) -> Self {
        Self { limits }
    }

    /// Loads a model, and says whether the graph could be typed already; where it could not, another engine that loads
    /// the model is the safer choice.
    pub(crate) fn try_load(&self, source: &ModelSource) -> Result<(Arc<dyn Graph>, bool), LoadError> {
        let model = || source.name.clone();
        let loaded = thread::scope(|scope| {
            thread::Builder::new()
                .name("dunlin-load".to_owned())
                .stack_size(LOADER_STACK_BYTES)
                .spawn_scoped(scope, || self.load_here(source))
                .map_err(|source| LoadError::Thread { model: model(), source })?
                .join()
                .unwrap_or_else(|payload| {
                    let message = panics::message(payload.as_ref());
                    Err(LoadError::Panicked {
                        engine: TRACT,
                        model: model(),
                        message,
                    })
                })
        })?;
        Ok((Arc::new(loaded.graph), loaded.tried))
    }

    fn load_here(&self, source: &ModelSource) -> Result<Loaded, LoadError> {
        let prepared = prepare::prepare(source, &self.limits).map_err(|fault| LoadError::Refused {
            model: source.name.clone(),
            source: fault,
        })?;
        load::load(&source.name, prepared, &self.limits)
    }
}

impl Backend for TractBackend {
    fn name(&self) -> &'static str {
        TRACT
    }

    fn encodings(&self) -> &'static [Encoding] {
        &[Encoding::Onnx]
    }

    fn load(&self, source: &ModelSource) -> Result<Arc<dyn Graph>, LoadError> {
        self.try_load(source).map(|(graph, _)| graph)
    }
}
