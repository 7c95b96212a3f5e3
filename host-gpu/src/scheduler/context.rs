//! [`SharedContext`]: an execution context that several callers hold and one worker uses at a time.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use crate::backend::ExecutionContext;

/// An [`ExecutionContext`] to compute on with [`Scheduler::compute`](crate::Scheduler::compute). Clones are the same
/// context. Use one context with one scheduler.
#[derive(Clone)]
pub struct SharedContext {
    slot: Arc<Mutex<Slot>>,
}

enum Slot {
    Idle(Box<dyn ExecutionContext>),
    Running,
    Poisoned,
}

/// What a worker finds in a context.
pub(super) enum Claim {
    /// The context is the worker's until it gives it back or poisons it.
    Taken(Box<dyn ExecutionContext>),
    /// Another worker has it.
    Busy,
    /// An engine panicked in it.
    Poisoned,
}

impl SharedContext {
    /// Takes a context over.
    #[must_use]
    pub fn new(context: Box<dyn ExecutionContext>) -> Self {
        Self {
            slot: Arc::new(Mutex::new(Slot::Idle(context))),
        }
    }

    /// A number that all clones share, and no other context alive.
    pub(super) fn identity(&self) -> usize {
        Arc::as_ptr(&self.slot).addr()
    }

    pub(super) fn claim(&self) -> Claim {
        let mut slot = self.slot.lock().unwrap_or_else(PoisonError::into_inner);
        match std::mem::replace(&mut *slot, Slot::Running) {
            Slot::Idle(context) => Claim::Taken(context),
            Slot::Running => Claim::Busy,
            Slot::Poisoned => {
                *slot = Slot::Poisoned;
                Claim::Poisoned
            }
        }
    }

    pub(super) fn give_back(&self, context: Box<dyn ExecutionContext>) {
        *self.slot.lock().unwrap_or_else(PoisonError::into_inner) = Slot::Idle(context);
    }

    pub(super) fn poison(&self) {
        *self.slot.lock().unwrap_or_else(PoisonError::into_inner) = Slot::Poisoned;
    }
}

impl fmt::Debug for SharedContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &*self.slot.lock().unwrap_or_else(PoisonError::into_inner) {
            Slot::Idle(_) => "idle",
            Slot::Running => "running",
            Slot::Poisoned => "poisoned",
        };
        write!(f, "SharedContext({state})")
    }
}
