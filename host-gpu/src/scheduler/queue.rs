//! The bounded queue between callers and workers. A worker takes the oldest job whose context is free, so a job that
//! waits for its context holds no thread.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    fmt,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

use super::context::{Claim, SharedContext};
use crate::{
    backend::{ComputeError, ExecutionContext},
    cancel::CancelToken,
    tensor::NamedTensor,
};

/// A compute that somebody waits for.
pub(super) struct Job {
    pub(super) id: u64,
    pub(super) context: SharedContext,
    pub(super) inputs: Vec<NamedTensor>,
    pub(super) cancel: CancelToken,
    pub(super) reply: oneshot::Sender<Result<Vec<NamedTensor>, ComputeError>>,
}

/// A job together with the context that it has claimed.
pub(super) struct Claimed {
    pub(super) job: Job,
    pub(super) context: Box<dyn ExecutionContext>,
}

pub(super) struct Queue {
    depth: usize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    running: HashMap<u64, CancelToken>,
    closed: bool,
}

impl Queue {
    pub(super) fn new(depth: usize) -> Self {
        Self {
            depth,
            state: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    pub(super) fn push(&self, job: Job) -> Result<(), ComputeError> {
        let mut state = self.lock();
        if state.closed {
            return Err(ComputeError::ShuttingDown);
        }
        if state.jobs.len() >= self.depth {
            return Err(ComputeError::Busy {
                queue_depth: self.depth,
            });
        }
        state.jobs.push_back(job);
        drop(state);
        self.changed.notify_one();
        Ok(())
    }

    /// Waits for the oldest job that can run, and claims its context; `None` once the queue is closed. Jobs that cannot
    /// run any more are answered on the way.
    pub(super) fn pop(&self) -> Option<Claimed> {
        let mut state = self.lock();
        loop {
            if state.closed {
                return None;
            }
            if let Some(claimed) = state.claim_oldest() {
                state.running.insert(claimed.job.id, claimed.job.cancel.clone());
                return Some(claimed);
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Marks a claimed job as done; its context has been given back already.
    pub(super) fn finish(&self, id: u64) {
        self.lock().running.remove(&id);
        // The context is free again, and the jobs that wait for it may have been passed over by idle workers.
        self.changed.notify_one();
    }

    /// Takes a job out if it still waits.
    pub(super) fn withdraw(&self, id: u64) {
        let withdrawn = {
            let mut state = self.lock();
            let index = state.jobs.iter().position(|job| job.id == id);
            index.and_then(|index| state.jobs.remove(index))
        };
        // Its tensors are freed here, outside the lock.
        drop(withdrawn);
    }

    /// Refuses what waits, stops what runs, and sends the workers home.
    pub(super) fn close(&self) {
        let waiting = {
            let mut state = self.lock();
            state.closed = true;
            state.running.values().for_each(CancelToken::cancel);
            std::mem::take(&mut state.jobs)
        };
        self.changed.notify_all();
        for job in waiting {
            // The caller may have gone.
            let _ = job.reply.send(Err(ComputeError::ShuttingDown));
        }
    }

    pub(super) fn waiting(&self) -> usize {
        self.lock().jobs.len()
    }

    pub(super) fn running(&self) -> usize {
        self.lock().running.len()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn claim_oldest(&mut self) -> Option<Claimed> {
        let mut index = 0;
        // A context that is given back while this looks is still the oldest waiting job's: the later ones must not pass it.
        let mut busy = HashSet::new();
        while let Some(job) = self.jobs.get(index) {
            let claim = match job.cancel.check() {
                Ok(()) if busy.contains(&job.context.identity()) => Claim::Busy,
                Ok(()) => job.context.claim(),
                Err(stopped) => {
                    self.answer(index, stopped.into());
                    continue;
                }
            };
            match claim {
                Claim::Taken(context) => {
                    return self.jobs.remove(index).map(|job| Claimed { job, context });
                }
                Claim::Poisoned => self.answer(index, ComputeError::Poisoned),
                Claim::Busy => {
                    busy.insert(job.context.identity());
                    index += 1;
                }
            }
        }
        None
    }

    fn answer(&mut self, index: usize, error: ComputeError) {
        if let Some(job) = self.jobs.remove(index) {
            // The caller may have gone.
            let _ = job.reply.send(Err(error));
        }
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("Queue")
            .field("depth", &self.depth)
            .field("waiting", &state.jobs.len())
            .field("running", &state.running.len())
            .field("closed", &state.closed)
            .finish()
    }
}
