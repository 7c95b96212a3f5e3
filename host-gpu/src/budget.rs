//! [`MemoryBudget`]: byte-exact, hierarchical accounting. A [`Reservation`] counts against its budget and every parent
//! until it is dropped. It only counts: it never allocates and never frees.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// A limit on bytes in use, shared by clones; children count against their parents too.
#[derive(Clone)]
pub struct MemoryBudget {
    node: Arc<Node>,
}

struct Node {
    limit: u64,
    in_use: AtomicU64,
    peak: AtomicU64,
    parent: Option<MemoryBudget>,
}

impl MemoryBudget {
    /// A budget of `limit` bytes; `u64::MAX` is no limit.
    #[must_use]
    pub fn new(limit: u64) -> Self {
        Self::with_parent(limit, None)
    }

    /// A budget within this one. The sum of the children's limits may exceed this one's limit: whoever reserves first
    /// gets the bytes.
    #[must_use]
    pub fn child(&self, limit: u64) -> Self {
        Self::with_parent(limit, Some(self.clone()))
    }

    fn with_parent(limit: u64, parent: Option<Self>) -> Self {
        Self {
            node: Arc::new(Node {
                limit,
                in_use: AtomicU64::new(0),
                peak: AtomicU64::new(0),
                parent,
            }),
        }
    }

    /// Takes `bytes` from this budget and every parent, or from none of them. Reserve before allocating.
    ///
    /// # Errors
    /// When one of them has not that much left; the error speaks of that one.
    pub fn reserve(&self, bytes: u64) -> Result<Reservation, BudgetExceeded> {
        let mut taken = Reservation {
            budget: self.clone(),
            bytes: 0,
        };
        taken.grow(bytes)?;
        Ok(taken)
    }

    /// Bytes reserved now, those of children included.
    #[must_use]
    pub fn in_use(&self) -> u64 {
        self.node.in_use.load(Ordering::Acquire)
    }

    /// The most bytes that were ever in use at once.
    #[must_use]
    pub fn peak(&self) -> u64 {
        self.node.peak.load(Ordering::Acquire)
    }

    /// The most bytes that may be in use at once.
    #[must_use]
    pub fn limit(&self) -> u64 {
        self.node.limit
    }

    fn levels(&self) -> impl Iterator<Item = &Node> {
        std::iter::successors(Some(&*self.node), |node| {
            node.parent.as_ref().map(|parent| &*parent.node)
        })
    }
}

impl Node {
    fn take(&self, bytes: u64) -> Result<(), BudgetExceeded> {
        let fits = |in_use: u64| in_use.checked_add(bytes).filter(|&sum| sum <= self.limit);
        match self.in_use.fetch_update(Ordering::AcqRel, Ordering::Acquire, fits) {
            Ok(before) => {
                self.peak.fetch_max(before + bytes, Ordering::AcqRel);
                Ok(())
            }
            Err(in_use) => Err(BudgetExceeded {
                asked: bytes,
                in_use,
                limit: self.limit,
            }),
        }
    }

    fn give_back(&self, bytes: u64) {
        self.in_use.fetch_sub(bytes, Ordering::AcqRel);
    }
}

impl fmt::Debug for MemoryBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryBudget")
            .field("limit", &self.limit())
            .field("in_use", &self.in_use())
            .field("peak", &self.peak())
            .finish()
    }
}

/// Bytes taken from a budget, given back on drop.
#[derive(Debug)]
#[must_use = "dropping a reservation gives its bytes back"]
pub struct Reservation {
    budget: MemoryBudget,
    bytes: u64,
}

impl Reservation {
    /// Bytes held.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Takes `bytes` more.
    ///
    /// # Errors
    /// When the budget or one of its parents has not that much left; what was held before stays held.
    pub fn grow(&mut self, bytes: u64) -> Result<(), BudgetExceeded> {
        for (depth, level) in self.budget.levels().enumerate() {
            if let Err(exceeded) = level.take(bytes) {
                self.budget
                    .levels()
                    .take(depth)
                    .for_each(|below| below.give_back(bytes));
                return Err(exceeded);
            }
        }
        self.bytes += bytes;
        Ok(())
    }

    /// Gives back what is over `bytes`; does nothing when that much is not held.
    pub fn shrink_to(&mut self, bytes: u64) {
        let excess = self.bytes.saturating_sub(bytes);
        self.budget.levels().for_each(|level| level.give_back(excess));
        self.bytes -= excess;
    }

    /// Splits `bytes` off into a reservation of their own, without giving them back in between; `None`, and no change,
    /// when that much is not held.
    pub fn split(&mut self, bytes: u64) -> Option<Self> {
        self.bytes = self.bytes.checked_sub(bytes)?;
        Some(Self {
            budget: self.budget.clone(),
            bytes,
        })
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.shrink_to(0);
    }
}

/// A reservation that did not fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{asked} more bytes do not fit: {in_use} of {limit} are in use")]
pub struct BudgetExceeded {
    /// Bytes asked for.
    pub asked: u64,
    /// Bytes in use at the time, in the budget that was full.
    pub in_use: u64,
    /// Limit of the budget that was full.
    pub limit: u64,
}

impl BudgetExceeded {
    /// One line telling the user what to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some("use smaller tensors, drop those that are no longer needed, or raise the memory limit".to_owned())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn bytes_are_exact_and_come_back() {
        let budget = MemoryBudget::new(100);
        let first = budget.reserve(60).unwrap();
        assert_eq!(
            budget.reserve(41).unwrap_err(),
            BudgetExceeded {
                asked: 41,
                in_use: 60,
                limit: 100
            }
        );
        let second = budget.reserve(40).unwrap();
        drop(first);
        assert_eq!((budget.in_use(), budget.peak()), (40, 100));
        drop(second);
        assert_eq!(budget.in_use(), 0);
    }

    #[test]
    fn a_full_parent_refuses_and_the_child_is_rolled_back() {
        let node = MemoryBudget::new(100);
        let (a, b) = (node.child(80), node.child(80));
        let held = a.reserve(70).unwrap();
        assert_eq!(
            b.reserve(31).unwrap_err(),
            BudgetExceeded {
                asked: 31,
                in_use: 70,
                limit: 100
            }
        );
        assert_eq!((b.in_use(), node.in_use()), (0, 70));
        assert_eq!(b.reserve(81).unwrap_err().limit, 80);
        drop(held);
        assert!(b.reserve(80).is_ok());
    }

    #[test]
    fn sums_that_overflow_are_refused() {
        let budget = MemoryBudget::new(u64::MAX);
        let _held = budget.reserve(u64::MAX).unwrap();
        assert!(budget.reserve(1).is_err());
        assert!(budget.reserve(0).is_ok());
    }

    #[test]
    fn reservations_grow_shrink_and_split() {
        let node = MemoryBudget::new(100);
        let child = node.child(50);
        let mut held = child.reserve(10).unwrap();
        held.grow(40).unwrap();
        assert!(held.grow(1).is_err());
        let half = held.split(25).unwrap();
        assert!(held.split(26).is_none());
        assert_eq!((held.bytes(), half.bytes(), node.in_use()), (25, 25, 50));
        held.shrink_to(5);
        held.shrink_to(6);
        assert_eq!((held.bytes(), child.in_use()), (5, 30));
        drop((held, half));
        assert_eq!((child.in_use(), node.in_use()), (0, 0));
    }

    #[test]
    fn threads_never_exceed_the_limit() {
        let budget = MemoryBudget::new(10);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..2000 {
                        if let Ok(held) = budget.reserve(3) {
                            assert!(held.budget.in_use() <= 10);
                        }
                    }
                });
            }
        });
        assert_eq!(budget.in_use(), 0);
        assert!(budget.peak() <= 9);
    }
}
