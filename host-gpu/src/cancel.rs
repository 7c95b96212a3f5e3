//! [`CancelToken`]: how a caller stops a running compute. Engines look at it between the nodes of a graph; it is a flag
//! and a deadline, and never wakes anybody.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

/// A cheap, clonable request to stop. Clones share one flag; a [`child`](Self::child) is also stopped by its parents.
#[derive(Clone, Debug, Default)]
pub struct CancelToken {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    cancelled: AtomicBool,
    deadline: Option<Instant>,
    parent: Option<CancelToken>,
}

/// Why work was stopped before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stopped {
    /// Somebody called [`CancelToken::cancel`].
    #[error("cancelled")]
    Cancelled,
    /// The deadline passed.
    #[error("deadline passed")]
    DeadlinePassed,
}

impl CancelToken {
    /// A token without a deadline.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A token that counts as stopped from `deadline` on.
    #[must_use]
    pub fn with_deadline(deadline: Instant) -> Self {
        Self {
            inner: Arc::new(Inner {
                deadline: Some(deadline),
                ..Inner::default()
            }),
        }
    }

    /// A token stopped with this one, that can also be stopped alone. Each level adds one step to every check: derive
    /// one per job, not one per node.
    #[must_use]
    pub fn child(&self) -> Self {
        Self {
            inner: Arc::new(Inner {
                parent: Some(self.clone()),
                ..Inner::default()
            }),
        }
    }

    /// A child with a deadline of its own; the earlier of all deadlines counts.
    #[must_use]
    pub fn child_with_deadline(&self, deadline: Instant) -> Self {
        Self {
            inner: Arc::new(Inner {
                deadline: Some(deadline),
                parent: Some(self.clone()),
                ..Inner::default()
            }),
        }
    }

    /// Asks for the work to stop. It ends at the engine's next check, not before this returns.
    pub fn cancel(&self) {
        self.inner.cancelled.store(true, Ordering::Release);
    }

    /// The earliest deadline of this token and its parents.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.chain().filter_map(|inner| inner.deadline).min()
    }

    /// Whether work should stop now.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.check().is_err()
    }

    /// Ends the caller's work with `?` when it should stop.
    ///
    /// # Errors
    /// Why it should stop; an explicit cancel wins over a passed deadline.
    pub fn check(&self) -> Result<(), Stopped> {
        if self.chain().any(|inner| inner.cancelled.load(Ordering::Acquire)) {
            return Err(Stopped::Cancelled);
        }
        match self.deadline() {
            Some(deadline) if Instant::now() >= deadline => Err(Stopped::DeadlinePassed),
            _ => Ok(()),
        }
    }

    fn chain(&self) -> impl Iterator<Item = &Inner> {
        std::iter::successors(Some(&*self.inner), |inner| {
            inner.parent.as_ref().map(|parent| &*parent.inner)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn children_stop_with_parents_and_not_the_other_way_round() {
        let parent = CancelToken::new();
        let (a, b) = (parent.child(), parent.child());
        a.cancel();
        assert_eq!(a.check(), Err(Stopped::Cancelled));
        assert_eq!(b.check(), Ok(()));
        parent.clone().cancel();
        assert_eq!(b.check(), Err(Stopped::Cancelled));
    }

    #[test]
    fn earliest_deadline_counts() {
        let now = Instant::now();
        let later = now + Duration::from_secs(3600);
        let parent = CancelToken::with_deadline(now);
        let child = parent.child_with_deadline(later);
        assert_eq!(child.deadline(), Some(now));
        assert_eq!(child.check(), Err(Stopped::DeadlinePassed));
        assert!(CancelToken::with_deadline(later).check().is_ok());
        child.cancel();
        assert_eq!(child.check(), Err(Stopped::Cancelled));
    }
}
