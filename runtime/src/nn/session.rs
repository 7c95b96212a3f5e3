//! [`Session`]: one guest's wasi-nn state and quotas, for every dialect. Bytes are charged before they are allocated;
//! computes go to the scheduler and never run on the guest's turn. Dropping it gives everything back.

use std::{sync::Arc, time::Instant};

use dunlin_host_gpu::{
    CancelToken, ElementType, Encoding, Graph, MemoryBudget, NamedTensor, Reservation, Scheduler, SharedContext,
    Tensor, TensorError,
};

use super::{adapt, error::NnError, handles::Handles};
use crate::{
    limits::Limits,
    models::{ExecutionTarget, ModelProvider, OpenModelError},
    stats::Counters,
};

/// Longest name of a model or of an input, in bytes: enough for a registry reference with a digest.
const MAX_NAME_BYTES: usize = 512;

/// What a session is made from.
pub(crate) struct SessionConfig<'a> {
    pub(crate) models: Option<Arc<dyn ModelProvider>>,
    pub(crate) scheduler: Arc<Scheduler>,
    pub(crate) tensor_budget: Option<&'a MemoryBudget>,
    pub(crate) limits: &'a Limits,
    pub(crate) counters: Arc<Counters>,
}

/// One guest's models, contexts and tensors.
pub(crate) struct Session {
    models: Option<Arc<dyn ModelProvider>>,
    scheduler: Arc<Scheduler>,
    counters: Arc<Counters>,
    deadline: Option<Instant>,
    tensor_budget: MemoryBudget,
    load_budget: MemoryBudget,
    tensors: Handles<HeldTensor>,
    graphs: Handles<Arc<HeldGraph>>,
    contexts: Handles<HeldContext>,
}

/// A tensor and the bytes that it is charged for.
struct HeldTensor {
    tensor: Tensor,
    charge: Reservation,
}

/// A graph and, when the guest brought its bytes, what they are charged. Contexts keep it.
struct HeldGraph {
    graph: Arc<dyn Graph>,
    _charge: Option<Reservation>,
}

#[derive(Clone)]
struct HeldContext {
    graph: Arc<HeldGraph>,
    context: SharedContext,
}

/// A tensor that is paid for and not yet there.
pub(crate) struct TensorGrant {
    element_type: ElementType,
    shape: Vec<usize>,
    charge: Reservation,
}

/// Bytes of a model that are paid for and not yet there.
pub(crate) struct LoadGrant(Reservation);

impl Session {
    pub(crate) fn new(config: SessionConfig<'_>) -> Self {
        let limits = config.limits;
        let tensor_budget = match config.tensor_budget {
            Some(parent) => parent.child(limits.host_tensor_bytes),
            None => MemoryBudget::new(limits.host_tensor_bytes),
        };
        Self {
            models: config.models,
            scheduler: config.scheduler,
            counters: config.counters,
            deadline: None,
            tensor_budget,
            load_budget: MemoryBudget::new(limits.load_bytes),
            tensors: Handles::new(limits.host_tensors, "tensor", "tensors"),
            graphs: Handles::new(limits.open_models, "graph", "open graphs"),
            contexts: Handles::new(limits.contexts, "execution context", "execution contexts"),
        }
    }

    /// When the guest's time is over: computes end there.
    pub(crate) fn set_deadline(&mut self, deadline: Option<Instant>) {
        self.deadline = deadline;
    }

    /// Checks and pays for a tensor of `len` bytes. Nothing of the size of the tensor is allocated.
    pub(crate) fn pay_for_tensor(
        &self,
        element_type: ElementType,
        dims: &[u32],
        len: usize,
    ) -> Result<TensorGrant, NnError> {
        self.counted(self.try_pay_for_tensor(element_type, dims, len))
    }

    fn try_pay_for_tensor(&self, element_type: ElementType, dims: &[u32], len: usize) -> Result<TensorGrant, NnError> {
        let shape: Vec<usize> = dims
            .iter()
            .map(|&dim| usize::try_from(dim).unwrap_or(usize::MAX))
            .collect();
        let expected = byte_len(element_type, &shape)?;
        if expected != len {
            return Err(TensorError::Length {
                element_type,
                shape,
                expected,
                given: len,
            }
            .into());
        }
        self.tensors.check_room(1)?;
        let charge = self.tensor_budget.reserve(len as u64)?;
        Ok(TensorGrant {
            element_type,
            shape,
            charge,
        })
    }

    /// Keeps a tensor that was paid for.
    pub(crate) fn keep_tensor(&mut self, grant: TensorGrant, data: Vec<u8>) -> Result<u32, NnError> {
        let tensor = Tensor::new(grant.element_type, grant.shape, Arc::new(data))?;
        let kept = self.tensors.insert(HeldTensor {
            tensor,
            charge: grant.charge,
        });
        self.counted(kept)
    }

    pub(crate) fn tensor(&self, handle: u32) -> Result<&Tensor, NnError> {
        self.tensors.get(handle).map(|held| &held.tensor)
    }

    pub(crate) fn drop_tensor(&mut self, handle: u32) -> Result<(), NnError> {
        self.tensors.remove(handle).map(drop)
    }

    /// Opens a model of the guest's own scope.
    pub(crate) async fn open(&mut self, name: &str) -> Result<u32, NnError> {
        check_name("model name", name)?;
        self.counted(self.graphs.check_room(1))?;
        let opened = match &self.models {
            Some(models) => models.open(name).await,
            None => Err(OpenModelError::NotFound),
        };
        let graph = opened.map_err(|error| open_failed(name, error))?;
        self.graphs.insert(Arc::new(HeldGraph { graph, _charge: None }))
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
        const NAME: &str = "(from bytes)";
        let loaded = match &self.models {
            Some(models) => models.load(encoding, bytes, target).await,
            None => Err(OpenModelError::Denied),
        };
        let graph = loaded.map_err(|error| open_failed(NAME, error))?;
        self.graphs.insert(Arc::new(HeldGraph {
            graph,
            _charge: Some(grant.0),
        }))
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

    pub(crate) fn drop_context(&mut self, handle: u32) -> Result<(), NnError> {
        self.contexts.remove(handle).map(drop)
    }

    /// Computes. The inputs are consumed, whatever the outcome; their charge ends with the call.
    ///
    /// # Cancel safety
    /// Dropping the future cancels the compute.
    pub(crate) async fn compute(
        &mut self,
        context: u32,
        inputs: Vec<(String, u32)>,
    ) -> Result<Vec<(String, u32)>, NnError> {
        let mut charges = Vec::with_capacity(inputs.len());
        let mut tensors = Vec::with_capacity(inputs.len());
        // Every input leaves the table before anything can fail.
        let taken: Vec<_> = inputs
            .into_iter()
            .map(|(name, handle)| (name, self.tensors.remove(handle)))
            .collect();
        let HeldContext { graph, context } = self.contexts.get(context)?.clone();
        for (name, held) in taken {
            check_name("input name", &name)?;
            let HeldTensor { tensor, charge } = held?;
            charges.push(charge);
            tensors.push(adapt::input(graph.graph.signature(), NamedTensor { name, tensor })?);
        }
        let cancel = self.deadline.map_or_else(CancelToken::new, CancelToken::with_deadline);
        let outputs = self
            .scheduler
            .compute(context, tensors, cancel)
            .await
            .map_err(|error| {
                tracing::debug!(error = &error as &dyn std::error::Error, "a guest's compute failed");
                NnError::Compute(error)
            })?;
        self.counters.computes.up();
        drop(charges);
        let kept = self.keep_outputs(outputs);
        self.counted(kept)
    }

    /// Charges all outputs or none.
    fn keep_outputs(&mut self, outputs: Vec<NamedTensor>) -> Result<Vec<(String, u32)>, NnError> {
        self.tensors.check_room(outputs.len())?;
        let mut paid = Vec::with_capacity(outputs.len());
        for output in outputs {
            let NamedTensor { name, tensor } = adapt::output(output)?;
            let charge = self.tensor_budget.reserve(tensor.data().len() as u64)?;
            paid.push((name, HeldTensor { tensor, charge }));
        }
        paid.into_iter()
            .map(|(name, held)| Ok((name, self.tensors.insert(held)?)))
            .collect()
    }

    fn counted<T>(&self, outcome: Result<T, NnError>) -> Result<T, NnError> {
        if outcome.as_ref().is_err_and(NnError::is_quota) {
            self.counters.quota_refusals.up();
        }
        outcome
    }
}

/// The bytes that a shape takes; an error before anything of that size exists.
fn byte_len(element_type: ElementType, shape: &[usize]) -> Result<usize, TensorError> {
    // The crate below has the one definition of a valid shape: an empty tensor of it tells the size in its error.
    match Tensor::new(element_type, shape.to_vec(), Arc::default()) {
        Ok(_) => Ok(0),
        Err(TensorError::Length { expected, .. }) => Ok(expected),
        Err(error) => Err(error),
    }
}

fn check_name(what: &'static str, name: &str) -> Result<(), NnError> {
    if name.len() > MAX_NAME_BYTES {
        return Err(NnError::NameTooLong {
            what,
            len: name.len(),
            limit: MAX_NAME_BYTES,
        });
    }
    Ok(())
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
