//! [`Ticker`]: the one thread that advances the engine's epoch while guests run. It sleeps when none does, and never
//! outlives the engine that owns it.

use std::{
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use wasmtime::EngineWeak;

use super::error::EngineError;

const SHORTEST_TICK: Duration = Duration::from_millis(1);

/// Advances the epoch every tick while at least one [`Running`] exists. Joined on drop.
pub(crate) struct Ticker {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    running: AtomicUsize,
    stop: Mutex<bool>,
    changed: Condvar,
}

/// Keeps the epoch advancing; hold one while a guest may run.
pub(crate) struct Running {
    shared: Arc<Shared>,
}

impl Ticker {
    pub(super) fn start(engine: EngineWeak, tick: Duration) -> Result<Self, EngineError> {
        if tick < SHORTEST_TICK {
            return Err(EngineError::TickTooShort { nanos: tick.as_nanos() });
        }
        let shared = Arc::new(Shared {
            running: AtomicUsize::new(0),
            stop: Mutex::new(false),
            changed: Condvar::new(),
        });
        let thread = std::thread::Builder::new()
            .name("dunlin-epoch".to_owned())
            .spawn({
                let shared = Arc::clone(&shared);
                move || shared.run(&engine, tick)
            })
            .map_err(|source| EngineError::Ticker { source })?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    pub(crate) fn running(&self) -> Running {
        if self.shared.running.fetch_add(1, Ordering::AcqRel) == 0 {
            // Under the lock, so that the ticker is either before its check of the count or already waiting.
            drop(self.shared.lock());
            self.shared.changed.notify_one();
        }
        Running {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, bool> {
        self.stop.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, engine: &EngineWeak, tick: Duration) {
        let mut stop = self.lock();
        while !*stop {
            stop = if self.running.load(Ordering::Acquire) == 0 {
                self.changed.wait(stop).unwrap_or_else(PoisonError::into_inner)
            } else {
                self.changed
                    .wait_timeout(stop, tick)
                    .unwrap_or_else(PoisonError::into_inner)
                    .0
            };
            match engine.upgrade() {
                Some(engine) => engine.increment_epoch(),
                None => return,
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shared.running.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        *self.shared.lock() = true;
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            // The thread does nothing that panics; if it did, guests would have stopped being interrupted long before.
            let _ = thread.join();
        }
    }
}
