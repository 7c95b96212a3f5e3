//! [`Session`]: one guest's wasi-nn state and quotas, for every dialect. Bytes are charged before they are allocated;
//! computes go to the scheduler and never run on the guest's turn. Dropping it gives everything back.

mod compute;
mod graphs;
mod tensors;

use std::{sync::Arc, time::Instant};

use dunlin_host_gpu::{MemoryBudget, Scheduler};
use tokio::sync::Semaphore;

pub(crate) use compute::{Input, Naming, Outputs};
use graphs::HeldContext;
pub(crate) use graphs::HeldGraph;
use tensors::HeldTensor;

use super::{error::NnError, handles::Handles, slab::Slabs};
use crate::{limits::Limits, models::ModelProvider, stats::Counters};

/// Longest name of a model or of an input, in bytes: enough for a registry reference with a digest.
pub(super) const MAX_NAME_BYTES: usize = 512;

/// What a session is made from.
pub(crate) struct SessionConfig<'a> {
    pub(crate) models: Option<Arc<dyn ModelProvider>>,
    pub(crate) scheduler: Arc<Scheduler>,
    pub(crate) tensor_budget: Option<&'a MemoryBudget>,
    pub(crate) slabs: Slabs,
    pub(crate) limits: &'a Limits,
    pub(crate) counters: Arc<Counters>,
}

/// One guest's models, contexts and tensors.
pub(crate) struct Session {
    models: Option<Arc<dyn ModelProvider>>,
    scheduler: Arc<Scheduler>,
    counters: Arc<Counters>,
    slabs: Slabs,
    deadline: Option<Instant>,
    tensor_budget: MemoryBudget,
    load_budget: MemoryBudget,
    computing: Arc<Semaphore>,
    max_computes: usize,
    tensors: Handles<Arc<HeldTensor>>,
    graphs: Handles<Arc<HeldGraph>>,
    contexts: Handles<HeldContext>,
}

impl Session {
    pub(crate) fn new(config: SessionConfig<'_>) -> Self {
        let limits = config.limits;
        let tensor_budget = match config.tensor_budget {
            Some(parent) => parent.child(limits.host_tensor_bytes),
            None => MemoryBudget::new(limits.host_tensor_bytes),
        };
        let max_computes = limits.computes.min(Semaphore::MAX_PERMITS);
        Self {
            models: config.models,
            scheduler: config.scheduler,
            counters: config.counters,
            slabs: config.slabs,
            deadline: None,
            tensor_budget,
            load_budget: MemoryBudget::new(limits.load_bytes),
            computing: Arc::new(Semaphore::new(max_computes)),
            max_computes,
            tensors: Handles::new(limits.host_tensors, "tensor", "tensors"),
            graphs: Handles::new(limits.open_models, "graph", "open graphs"),
            contexts: Handles::new(limits.contexts, "execution context", "execution contexts"),
        }
    }

    /// When the guest's time is over: computes end there.
    pub(crate) fn set_deadline(&mut self, deadline: Option<Instant>) {
        self.deadline = deadline;
    }

    fn counted<T>(&self, outcome: Result<T, NnError>) -> Result<T, NnError> {
        if outcome.as_ref().is_err_and(NnError::is_quota) {
            self.counters.quota_refusals.up();
        }
        outcome
    }
}

fn check_name(what: &'static str, len: usize) -> Result<(), NnError> {
    if len > MAX_NAME_BYTES {
        return Err(NnError::NameTooLong {
            what,
            len,
            limit: MAX_NAME_BYTES,
        });
    }
    Ok(())
}
