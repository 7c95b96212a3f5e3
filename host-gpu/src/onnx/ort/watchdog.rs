//! [`Watchdog`]: stops runs of onnxruntime whose caller has stopped waiting. The library must be told from another
//! thread, so one thread looks at the tokens of all runs; it sleeps while there are none.

use std::{
    collections::HashMap,
    fmt, io,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

use ort::session::RunOptions;

use crate::cancel::CancelToken;

/// How late a run may be told to stop. The library itself looks only between nodes.
const INTERVAL: Duration = Duration::from_millis(5);

/// The thread, joined on drop.
pub(super) struct Watchdog {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    next: u64,
    watched: HashMap<u64, (CancelToken, Arc<RunOptions>)>,
    closed: bool,
}

impl fmt::Debug for Watchdog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Watchdog({} running)", self.shared.lock().watched.len())
    }
}

impl Watchdog {
    pub(super) fn start() -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let watching = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("dunlin-ort-watch".to_owned())
            .spawn(move || watching.watch())?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// Terminates the run of `options` when `cancel` says so, until the guard is dropped.
    pub(super) fn watch(&self, cancel: &CancelToken, options: &Arc<RunOptions>) -> Watched<'_> {
        let mut state = self.shared.lock();
        let id = state.next;
        state.next += 1;
        state.watched.insert(id, (cancel.clone(), Arc::clone(options)));
        drop(state);
        self.shared.changed.notify_one();
        Watched {
            shared: &self.shared,
            id,
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn watch(&self) {
        let mut state = self.lock();
        while !state.closed {
            state.watched.retain(|_, (cancel, options)| {
                let stop = cancel.is_cancelled();
                if stop && let Err(error) = options.terminate() {
                    tracing::debug!(%error, "onnxruntime did not take the request to stop");
                }
                !stop
            });
            state = if state.watched.is_empty() {
                self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
            } else {
                self.changed
                    .wait_timeout(state, INTERVAL)
                    .unwrap_or_else(PoisonError::into_inner)
                    .0
            };
        }
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            // It holds nothing that a panic could have left behind.
            let _ = thread.join();
        }
    }
}

/// A run under watch.
pub(super) struct Watched<'a> {
    shared: &'a Shared,
    id: u64,
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        self.shared.lock().watched.remove(&self.id);
    }
}
