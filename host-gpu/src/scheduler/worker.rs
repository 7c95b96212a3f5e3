//! A worker thread: takes jobs, computes, answers. An engine's panic ends here.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::queue::{Claimed, Job, Queue};
use crate::{backend::ComputeError, panics};

pub(super) fn run(queue: &Queue) {
    while let Some(claimed) = queue.pop() {
        let id = claimed.job.id;
        let (reply, outcome) = compute(claimed);
        queue.finish(id);
        // The caller may have gone.
        let _ = reply.send(outcome);
    }
}

type Reply = tokio::sync::oneshot::Sender<Outcome>;
type Outcome = Result<Vec<crate::tensor::NamedTensor>, ComputeError>;

fn compute(claimed: Claimed) -> (Reply, Outcome) {
    let Claimed {
        job:
            Job {
                context: shared,
                inputs,
                cancel,
                reply,
                ..
            },
        context: mut engine,
    } = claimed;
    // The context is dropped after a panic, so nobody sees what the panic left half done.
    let outcome = catch_unwind(AssertUnwindSafe(|| engine.compute(inputs, &cancel)));
    match outcome {
        Ok(outcome) => {
            shared.give_back(engine);
            (reply, outcome)
        }
        Err(payload) => {
            shared.poison();
            let message = panics::message(payload.as_ref());
            // What a panic left half done may panic again while it is dropped.
            let dropped = catch_unwind(AssertUnwindSafe(move || drop(engine)));
            if dropped.is_err() {
                tracing::warn!("an execution context panicked again while it was dropped");
            }
            (reply, Err(ComputeError::EnginePanicked { message }))
        }
    }
}
