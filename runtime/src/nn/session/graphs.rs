//! Graphs and execution contexts of a session. A context keeps its graph: dropping the graph's number takes nothing from
//! it.

use std::sync::Arc;

use dunlin_host_gpu::{Encoding, Graph, Reservation, SharedContext};

use super::{Session, check_name};
use crate::{
    models::{ExecutionTarget, OpenModelError},
    nn::error::NnError,
};

/// What a model from bytes is called in errors.
const FROM_BYTES: &str = "(from bytes)";

/// A graph, where it came from, and, when the guest brought its bytes, what they are charged.
pub(crate) struct HeldGraph {
    pub(crate) graph: Arc<dyn Graph>,
    pub(crate) digest: Option<String>,
    _charge: Option<Reservation>,
}

#[derive(Clone)]
pub(super) struct HeldContext {
    pub(super) graph: Arc<HeldGraph>,
    pub(super) context: SharedContext,
}

/// Bytes of a model that are paid for and not yet there.
pub(crate) struct LoadGrant(Reservation);

impl Session {
    /// Opens a model of the guest's own scope.
    pub(crate) async fn open(&mut self, name: &str) -> Result<u32, NnError> {
        check_name("model name", name.len())?;
        self.counted(self.graphs.check_room(1))?;
        let Some(models) = &self.models else {
            return Err(open_failed(name, OpenModelError::NotFound));
        };
        let graph = models.open(name).await.map_err(|error| open_failed(name, error))?;
        let digest = models.digest(name);
        self.graphs.insert(Arc::new(HeldGraph {
            graph,
            digest,
            _charge: None,
        }))
    }

    /// Pays for a model of `len` bytes from the guest.
    pub(crate) fn pay_for_load(&self, len: usize) -> Result<LoadGrant, NnError> {
        self.counted(self.graphs.check_room(1))?;
        let charge = self.load_budget.reserve(len as u64).map_err(NnError::from);
        self.counted(charge).map(LoadGrant)
    }

    /// Loads a model that was paid for; the charge stays as long as the graph.
    pub(crate) async fn load(
        &mut self,
        grant: LoadGrant,
        encoding: Encoding,
        target: ExecutionTarget,
        bytes: Vec<u8>,
    ) -> Result<u32, NnError> {
        let loaded = match &self.models {
            Some(models) => models.load(encoding, bytes, target).await,
            None => Err(OpenModelError::Denied),
        };
        let graph = loaded.map_err(|error| open_failed(FROM_BYTES, error))?;
        self.graphs.insert(Arc::new(HeldGraph {
            graph,
            digest: None,
            _charge: Some(grant.0),
        }))
    }

    pub(crate) fn graph(&self, handle: u32) -> Result<&Arc<HeldGraph>, NnError> {
        self.graphs.get(handle)
    }

    pub(crate) fn drop_graph(&mut self, handle: u32) -> Result<(), NnError> {
        self.graphs.remove(handle).map(drop)
    }

    pub(crate) fn init_context(&mut self, graph: u32) -> Result<u32, NnError> {
        let graph = Arc::clone(self.graphs.get(graph)?);
        self.counted(self.contexts.check_room(1))?;
        let context = graph.graph.init_execution_context().map_err(NnError::Context)?;
        self.contexts.insert(HeldContext {
            graph,
            context: SharedContext::new(context),
        })
    }

    /// The graph that a context was made from.
    pub(crate) fn graph_of_context(&self, context: u32) -> Result<&Arc<HeldGraph>, NnError> {
        self.contexts.get(context).map(|held| &held.graph)
    }

    pub(crate) fn drop_context(&mut self, handle: u32) -> Result<(), NnError> {
        self.contexts.remove(handle).map(drop)
    }
}

fn open_failed(model: &str, error: OpenModelError) -> NnError {
    tracing::debug!(
        model,
        error = &error as &dyn std::error::Error,
        "a guest's model was not opened"
    );
    NnError::Open {
        model: model.to_owned(),
        error,
    }
}
