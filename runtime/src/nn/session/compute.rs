//! Computes in three steps: [`Session::begin`] takes what is needed, [`Pending::run`] waits without the session, and
//! [`Session::finish`] pays for the outputs. A guest with several tasks can so have several computes under way.

use std::sync::Arc;

use dunlin_host_gpu::{CancelToken, NamedTensor, Scheduler, SharedContext};
use tokio::sync::OwnedSemaphorePermit;

use super::{HeldTensor, Session, check_name};
use crate::nn::{adapt, error::NnError};

/// An input's tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// Leaves the guest with the call, whatever the outcome.
    Taken(u32),
    /// Stays the guest's.
    Lent(u32),
}

/// How a dialect names element types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Naming {
    /// As wasi-nn does, which lacks some types and scalars.
    WasiNn,
    /// As the model does.
    Model,
}

/// A compute that has all that it needs. Dropping it gives everything back.
pub(crate) struct Pending {
    scheduler: Arc<Scheduler>,
    context: SharedContext,
    tensors: Vec<NamedTensor>,
    cancel: CancelToken,
    // Charges, buffers and the place among the guest's computes last until the compute has ended.
    _inputs: Vec<Arc<HeldTensor>>,
    _permit: OwnedSemaphorePermit,
}

/// What a graph gave, not yet paid for.
pub(crate) struct Outputs(Vec<NamedTensor>);

impl Outputs {
    /// Keeps only the outputs called `names`.
    pub(crate) fn select(&mut self, names: &[String]) {
        self.0.retain(|output| names.contains(&output.name));
    }
}

impl Pending {
    /// Waits for the scheduler.
    ///
    /// # Cancel safety
    /// Dropping the future cancels the compute.
    pub(crate) async fn run(self) -> Result<Outputs, NnError> {
        let outcome = self.scheduler.compute(self.context, self.tensors, self.cancel).await;
        outcome.map(Outputs).map_err(|error| {
            tracing::debug!(error = &error as &dyn std::error::Error, "a guest's compute failed");
            NnError::Compute(error)
        })
    }
}

impl Session {
    /// Prepares a compute on `context`. Inputs given as taken are gone, whatever the outcome.
    pub(crate) fn begin(&mut self, context: u32, inputs: Vec<(String, Input)>) -> Result<Pending, NnError> {
        // Every taken input leaves the table before anything can fail.
        let held: Vec<_> = inputs
            .into_iter()
            .map(|(name, input)| match input {
                Input::Taken(handle) => (name, self.tensors.remove(handle)),
                Input::Lent(handle) => (name, self.tensors.get(handle).cloned()),
            })
            .collect();
        let on = self.contexts.get(context)?.clone();
        let permit = Arc::clone(&self.computing)
            .try_acquire_owned()
            .map_err(|_full| NnError::Quota {
                what: "computes at once",
                limit: self.max_computes as u64,
            });
        let permit = self.counted(permit)?;
        let mut charged = Vec::with_capacity(held.len());
        let mut tensors = Vec::with_capacity(held.len());
        for (name, held) in held {
            check_name("input name", name.len())?;
            let held = held?;
            let tensor = held.tensor.clone();
            charged.push(held);
            tensors.push(adapt::input(on.graph.graph.signature(), NamedTensor { name, tensor })?);
        }
        let cancel = self.deadline.map_or_else(CancelToken::new, CancelToken::with_deadline);
        Ok(Pending {
            scheduler: Arc::clone(&self.scheduler),
            context: on.context,
            tensors,
            cancel,
            _inputs: charged,
            _permit: permit,
        })
    }

    /// Keeps all outputs or, when one does not fit, none.
    pub(crate) fn finish(&mut self, outputs: Outputs, naming: Naming) -> Result<Vec<(String, u32)>, NnError> {
        self.counters.computes.up();
        let kept = self.keep_outputs(outputs, naming);
        self.counted(kept)
    }

    fn keep_outputs(&mut self, Outputs(outputs): Outputs, naming: Naming) -> Result<Vec<(String, u32)>, NnError> {
        self.tensors.check_room(outputs.len())?;
        let mut paid = Vec::with_capacity(outputs.len());
        for output in outputs {
            let NamedTensor { name, tensor } = match naming {
                Naming::WasiNn => adapt::output(output)?,
                Naming::Model => output,
            };
            paid.push((name, self.hold(tensor)?));
        }
        paid.into_iter()
            .map(|(name, held)| Ok((name, self.tensors.insert(held)?)))
            .collect()
    }
}
