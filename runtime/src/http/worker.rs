//! One guest serving one request: an [`Instance`], the job that it is given, and what becomes of both.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use http::Request;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use wasmtime::Store;
use wasmtime_wasi_http::WasiBody;

use super::{
    app::Shared,
    error::RequestError,
    guest::{Call, Guest, GuestPre, Head},
};
use crate::{
    meter::{Exceeded, bounded},
    store::State,
};

/// One request on its way through a guest.
pub(super) struct Job {
    pub(super) request: Request<WasiBody>,
    pub(super) head: oneshot::Sender<Head>,
    /// Set when the guest ends by a fault, before its side of the response body goes away.
    pub(super) broken: Arc<AtomicBool>,
    /// How it ended. Told before the instance is dropped.
    pub(super) ended: oneshot::Sender<Result<(), RequestError>>,
    /// Closed when the response is through.
    pub(super) through: oneshot::Receiver<()>,
    pub(super) permit: OwnedSemaphorePermit,
}

/// A store and the guest in it. The guest is made on the first request, under that request's limits.
pub(super) struct Instance {
    store: Store<State>,
    guest: Option<Guest>,
    served: u32,
}

impl Instance {
    pub(super) fn new(store: Store<State>) -> Self {
        Self {
            store,
            guest: None,
            served: 0,
        }
    }

    async fn serve(&mut self, pre: &GuestPre, call: Call, reusable: bool) -> wasmtime::Result<()> {
        self.served += 1;
        let guest = match &mut self.guest {
            Some(guest) => guest,
            empty => {
                let started = pre.instantiate(&mut self.store).await?;
                self.store.data().instance_started();
                empty.insert(started)
            }
        };
        guest.serve(&mut self.store, call, reusable).await
    }
}

/// Marks the response as broken unless the guest ended well. Declared after the instance, so that it goes first: a body
/// that ends because the instance is gone is then already marked.
struct Verdict {
    broken: Arc<AtomicBool>,
    well: bool,
}

impl Drop for Verdict {
    fn drop(&mut self) {
        if !self.well {
            self.broken.store(true, Ordering::Release);
        }
    }
}

/// Serves one request. The permit is given back when the guest is done, the instance kept when it may serve again.
pub(super) async fn run(shared: Arc<Shared>, job: Job) {
    let Job {
        request,
        head,
        broken,
        ended,
        through,
        permit,
    } = job;
    let mut instance = match shared.instance() {
        Ok(instance) => instance,
        Err(error) => {
            // A client that went away needs no answer, here and below.
            let _ = ended.send(Err(error));
            return;
        }
    };
    let mut verdict = Verdict { broken, well: false };
    let time = shared.time_limits();
    instance.store.data_mut().session().set_deadline(time.deadline());
    let reusable = instance.served + 1 < shared.max_reuse();
    let ticking = shared.ticking();
    let call = Call { request, head, through };
    let served = bounded(instance.serve(shared.pre(), call, reusable), time).await;
    drop(ticking);
    let outcome = match served {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(classify(&shared, error)),
        Err(Exceeded { kind, limit }) => {
            shared.counters().deadlines_hit.up();
            Err(RequestError::Deadline { kind, limit })
        }
    };
    if let Err(error) = &outcome {
        tracing::debug!(error = error as &dyn std::error::Error, "a guest failed on a request");
    }
    verdict.well = outcome.is_ok();
    drop(verdict);
    let well = outcome.is_ok();
    let _ = ended.send(outcome);
    if well && reusable {
        shared.keep(instance);
    }
    drop(permit);
}

fn classify(shared: &Shared, error: wasmtime::Error) -> RequestError {
    if error.is::<wasmtime::PoolConcurrencyLimitError>() {
        shared.counters().busy_refusals.up();
        return RequestError::PoolExhausted { source: error.into() };
    }
    shared.counters().traps.up();
    RequestError::Trap { source: error.into() }
}
