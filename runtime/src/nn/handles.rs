//! [`Handles`]: a bounded table of what a guest refers to by number. Numbers are never used again, so a stale one is an
//! error and not somebody else's object.

use std::collections::HashMap;

use super::error::NnError;

/// Numbers from here on are left to the dialects, for handles that stand for no entry.
pub(super) const RESERVED: u32 = 0xffff_0000;

pub(super) struct Handles<T> {
    entries: HashMap<u32, T>,
    next: u32,
    limit: usize,
    what: &'static str,
    plural: &'static str,
}

impl<T> Handles<T> {
    /// A table of at most `limit` live entries; `what` and `plural` name them in errors.
    pub(super) fn new(limit: usize, what: &'static str, plural: &'static str) -> Self {
        Self {
            entries: HashMap::new(),
            next: 0,
            limit,
            what,
            plural,
        }
    }

    /// Whether `count` more fit.
    pub(super) fn check_room(&self, count: usize) -> Result<(), NnError> {
        let numbers_left = usize::try_from(RESERVED - self.next).unwrap_or(usize::MAX);
        if count > self.limit.saturating_sub(self.entries.len()) || count > numbers_left {
            return Err(NnError::Quota {
                what: self.plural,
                limit: self.limit as u64,
            });
        }
        Ok(())
    }

    pub(super) fn insert(&mut self, entry: T) -> Result<u32, NnError> {
        self.check_room(1)?;
        let handle = self.next;
        self.next += 1;
        self.entries.insert(handle, entry);
        Ok(handle)
    }

    pub(super) fn get(&self, handle: u32) -> Result<&T, NnError> {
        self.entries.get(&handle).ok_or(NnError::BadHandle { what: self.what })
    }

    pub(super) fn remove(&mut self, handle: u32) -> Result<T, NnError> {
        self.entries
            .remove(&handle)
            .ok_or(NnError::BadHandle { what: self.what })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_full_table_refuses_and_a_removal_makes_room() {
        let mut table = Handles::new(2, "thing", "things");
        let first = table.insert('a').unwrap();
        table.insert('b').unwrap();
        assert!(matches!(table.insert('c'), Err(NnError::Quota { limit: 2, .. })));
        assert_eq!(table.remove(first).unwrap(), 'a');
        let third = table.insert('c').unwrap();
        assert_ne!(third, first);
        assert!(table.get(first).is_err() && table.remove(first).is_err());
    }

    #[test]
    fn numbers_run_out_before_the_reserved_ones() {
        let mut table = Handles::new(10, "thing", "things");
        table.next = RESERVED - 1;
        assert_eq!(table.insert('a').unwrap(), RESERVED - 1);
        assert!(table.insert('b').is_err());
    }
}
