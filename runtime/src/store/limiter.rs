//! [`Limiter`]: bounds on what a guest's own memories, tables and instances take, summed over the store.

use std::sync::Arc;

use wasmtime::ResourceLimiter;

use crate::{limits::Limits, stats::Counters};

/// Wasmtime asks it before every creation and growth. Growth beyond a limit gives the guest -1.
pub(super) struct Limiter {
    memory: Account,
    table: Account,
    instances: usize,
    refused_initial: Option<u64>,
    counters: Arc<Counters>,
}

/// One resource's sum, and what was granted last, to be given back when the growth fails all the same.
struct Account {
    limit: u64,
    in_use: u64,
    last: u64,
}

impl Account {
    fn new(limit: u64) -> Self {
        Self {
            limit,
            in_use: 0,
            last: 0,
        }
    }

    /// The new sum when it fits, else what the sum would be.
    fn grow(&mut self, current: usize, desired: usize) -> Result<(), u64> {
        let more = desired.saturating_sub(current) as u64;
        let sum = self.in_use.saturating_add(more);
        if sum > self.limit {
            return Err(sum);
        }
        (self.in_use, self.last) = (sum, more);
        Ok(())
    }

    fn undo(&mut self) {
        self.in_use = self.in_use.saturating_sub(std::mem::take(&mut self.last));
    }
}

impl Limiter {
    pub(super) fn new(limits: &Limits, counters: Arc<Counters>) -> Self {
        Self {
            memory: Account::new(limits.memory_bytes),
            table: Account::new(limits.table_elements),
            instances: limits.instances,
            refused_initial: None,
            counters,
        }
    }

    pub(super) fn refused_initial(&self) -> Option<u64> {
        self.refused_initial
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let grown = self.memory.grow(current, desired);
        if let Err(sum) = grown {
            self.counters.memory_refusals.up();
            if current == 0 {
                self.refused_initial.get_or_insert(sum);
            }
        }
        Ok(grown.is_ok())
    }

    fn memory_grow_failed(&mut self, _: wasmtime::Error) -> wasmtime::Result<()> {
        self.memory.undo();
        Ok(())
    }

    fn table_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let grown = self.table.grow(current, desired).is_ok();
        if !grown {
            self.counters.memory_refusals.up();
        }
        Ok(grown)
    }

    fn table_grow_failed(&mut self, _: wasmtime::Error) -> wasmtime::Result<()> {
        self.table.undo();
        Ok(())
    }

    fn instances(&self) -> usize {
        self.instances
    }

    fn tables(&self) -> usize {
        self.instances
    }

    fn memories(&self) -> usize {
        self.instances
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn limiter(memory_bytes: u64) -> Limiter {
        Limiter::new(
            &Limits {
                memory_bytes,
                ..Limits::default()
            },
            Arc::default(),
        )
    }

    #[test]
    fn memories_are_summed() {
        let mut limiter = limiter(100);
        assert!(limiter.memory_growing(0, 60, None).unwrap());
        assert!(!limiter.memory_growing(0, 60, None).unwrap());
        assert!(limiter.memory_growing(60, 100, None).unwrap());
        assert_eq!(limiter.refused_initial(), Some(120));
    }

    #[test]
    fn a_failed_growth_is_given_back() {
        let mut limiter = limiter(100);
        assert!(limiter.memory_growing(0, 100, None).unwrap());
        limiter.memory_grow_failed(wasmtime::format_err!("no memory")).unwrap();
        assert!(limiter.memory_growing(0, 100, None).unwrap());
        assert!(!limiter.memory_growing(100, usize::MAX, None).unwrap());
    }
}
