//! [`Scheduler`]: the threads that computes run on, between async callers and blocking engines. One bounded queue, first
//! come first served; a [`SharedContext`] computes one thing at a time without holding a thread for those that wait.
//! A panicking engine costs its context, never a thread or the process.

mod context;
mod queue;
mod worker;

use std::{
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
};

pub use context::SharedContext;
use queue::{Job, Queue};
use tokio::sync::oneshot;

use crate::{
    backend::ComputeError,
    cancel::{CancelToken, Stopped},
    tensor::NamedTensor,
};

/// Engines recurse over nested sub-graphs and symbolic shapes; the default of 2 MiB is too near for models from outside.
const WORKER_STACK_BYTES: usize = 16 << 20;

/// How many computes run, and how many may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SchedulerConfig {
    /// Threads, so computes that run at once. Each may use the engine's intra-op threads on top.
    pub workers: NonZeroUsize,
    /// Computes that may wait for a thread or for their context; one more is [`ComputeError::Busy`].
    pub queue_depth: NonZeroUsize,
}

impl Default for SchedulerConfig {
    /// One worker per processor, and 256 waiting: a few seconds of work for a small model.
    fn default() -> Self {
        let workers = thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        Self {
            workers,
            queue_depth: NonZeroUsize::MIN.saturating_add(255),
        }
    }
}

/// Why a scheduler could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SchedulerError {
    /// The system gave no thread.
    #[error("compute thread {index} did not start")]
    Thread {
        /// Which of the workers, from 0.
        index: usize,
        /// The system's account.
        source: std::io::Error,
    },
}

impl SchedulerError {
    /// One line telling the user what to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some("ask for fewer workers, or raise the limit on processes and memory".to_owned())
    }
}

/// Runs computes on threads of its own. Dropping it stops what runs, refuses what waits, and joins the threads.
#[derive(Debug)]
pub struct Scheduler {
    queue: Arc<Queue>,
    workers: Vec<JoinHandle<()>>,
    next_id: AtomicU64,
}

impl Scheduler {
    /// Starts the threads.
    ///
    /// # Errors
    /// When the system gives no thread; those already started are joined.
    pub fn new(config: SchedulerConfig) -> Result<Self, SchedulerError> {
        let queue = Arc::new(Queue::new(config.queue_depth.get()));
        let mut scheduler = Self {
            queue,
            workers: Vec::new(),
            next_id: AtomicU64::new(0),
        };
        for index in 0..config.workers.get() {
            let queue = Arc::clone(&scheduler.queue);
            let worker = thread::Builder::new()
                .name(format!("dunlin-compute-{index}"))
                .stack_size(WORKER_STACK_BYTES)
                .spawn(move || worker::run(&queue))
                .map_err(|source| SchedulerError::Thread { index, source })?;
            scheduler.workers.push(worker);
        }
        Ok(scheduler)
    }

    /// Computes on a worker thread and waits for the outputs without blocking the executor. Computes on one context run
    /// one after the other, in the order of the calls.
    ///
    /// Returns as soon as a deadline of `cancel` passes, even when the engine takes until its next node to stop.
    ///
    /// # Cancel safety
    /// Dropping the future takes the compute out of the queue, or asks the engine to stop at its next node; the context
    /// stays usable and nothing of the compute is seen by the next one.
    ///
    /// # Errors
    /// [`ComputeError::Busy`] at once when the queue is full, [`ComputeError::EnginePanicked`] when the engine panicked,
    /// and whatever [`ExecutionContext::compute`](crate::ExecutionContext::compute) says.
    ///
    /// # Panics
    /// When `cancel` has a deadline and the calling tokio runtime has no timer.
    pub async fn compute(
        &self,
        context: SharedContext,
        inputs: Vec<NamedTensor>,
        cancel: CancelToken,
    ) -> Result<Vec<NamedTensor>, ComputeError> {
        cancel.check()?;
        let cancel = cancel.child();
        let (reply, outcome) = oneshot::channel();
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        self.queue.push(Job {
            id,
            context,
            inputs,
            cancel: cancel.clone(),
            reply,
        })?;
        let _abandoned = Abandon {
            queue: &self.queue,
            id,
            cancel: &cancel,
        };
        let outcome = match cancel.deadline() {
            Some(deadline) => match tokio::time::timeout_at(deadline.into(), outcome).await {
                Ok(outcome) => outcome,
                Err(_elapsed) => return Err(Stopped::DeadlinePassed.into()),
            },
            None => outcome.await,
        };
        outcome.unwrap_or(Err(ComputeError::ShuttingDown))
    }

    /// Computes that wait for a thread or for their context.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.queue.waiting()
    }

    /// Computes that run now.
    #[must_use]
    pub fn running(&self) -> usize {
        self.queue.running()
    }
}

impl Drop for Scheduler {
    fn drop(&mut self) {
        self.queue.close();
        for worker in self.workers.drain(..) {
            // A worker catches the engines' panics; its own would be ours, and there is nobody left to tell.
            let _ = worker.join();
        }
    }
}

/// Withdraws a job that nobody waits for any more; harmless when it has finished.
struct Abandon<'a> {
    queue: &'a Queue,
    id: u64,
    cancel: &'a CancelToken,
}

impl Drop for Abandon<'_> {
    fn drop(&mut self) {
        self.cancel.cancel();
        self.queue.withdraw(self.id);
    }
}
