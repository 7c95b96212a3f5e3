//! [`Slabs`]: buffers of large tensors, kept for the next one of about the same size: a fresh buffer costs more in page
//! faults than the copy into it. Shared by all guests of an engine; a buffer's old bytes are never seen by its next user.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::NnError;

/// Below this the allocator itself keeps pages at hand.
const SMALLEST_BYTES: usize = 64 << 10;

/// Idle buffers by size class. Clones are the same.
#[derive(Clone)]
pub(crate) struct Slabs {
    shared: Arc<Shared>,
}

struct Shared {
    idle: Mutex<Idle>,
    limit: usize,
}

#[derive(Default)]
struct Idle {
    by_class: BTreeMap<usize, Vec<Vec<u8>>>,
    bytes: usize,
}

impl Slabs {
    /// Keeps at most `limit` bytes idle; what is in use is bounded by the guests' quotas.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            shared: Arc::new(Shared {
                idle: Mutex::default(),
                limit,
            }),
        }
    }

    /// A buffer with the bytes of `bytes`.
    pub(super) fn copy(&self, bytes: &[u8]) -> Result<Vec<u8>, NnError> {
        let mut buffer = self.take(bytes.len())?;
        buffer.extend_from_slice(bytes);
        Ok(buffer)
    }

    /// An empty buffer with room for `len` bytes.
    fn take(&self, len: usize) -> Result<Vec<u8>, NnError> {
        let mut capacity = len;
        if len >= SMALLEST_BYTES {
            capacity = class_above(len);
            let mut idle = self.lock();
            if let Some(buffer) = idle.by_class.get_mut(&capacity).and_then(Vec::pop) {
                idle.bytes -= buffer.capacity();
                return Ok(buffer);
            }
        }
        let mut buffer = Vec::new();
        buffer
            .try_reserve_exact(capacity)
            .map_err(|_refused| NnError::HostMemory { bytes: len })?;
        Ok(buffer)
    }

    /// Keeps `buffer` for later, or frees it when it is small or enough is idle.
    fn give_back(&self, mut buffer: Vec<u8>) {
        let capacity = buffer.capacity();
        if capacity < SMALLEST_BYTES {
            return;
        }
        buffer.clear();
        let mut idle = self.lock();
        if capacity <= self.shared.limit.saturating_sub(idle.bytes) {
            idle.bytes += capacity;
            idle.by_class.entry(class_below(capacity)).or_default().push(buffer);
        }
    }

    /// Frees what is idle.
    pub(crate) fn trim(&self) {
        let idle = std::mem::take(&mut *self.lock());
        drop(idle);
    }

    /// Bytes of the buffers that wait for a user.
    pub(crate) fn idle_bytes(&self) -> usize {
        self.lock().bytes
    }

    fn lock(&self) -> MutexGuard<'_, Idle> {
        self.shared.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Four classes per power of two, so that a buffer is at most a quarter larger than asked for. `len` is not 0.
fn step(len: usize) -> usize {
    (1_usize << len.ilog2()) / 4
}

/// The smallest class that holds `len`.
fn class_above(len: usize) -> usize {
    len.checked_next_multiple_of(step(len)).unwrap_or(len)
}

/// The largest class that `capacity` fills.
fn class_below(capacity: usize) -> usize {
    capacity - capacity % step(capacity)
}

/// Gives a tensor's buffer back when the last holder of it goes. Declared after the tensor in whatever holds both, so that
/// this one is the last.
pub(super) struct Recycle {
    data: Arc<Vec<u8>>,
    slabs: Slabs,
}

impl Recycle {
    /// `None` for a buffer too small to be kept.
    pub(super) fn new(data: &Arc<Vec<u8>>, slabs: &Slabs) -> Option<Self> {
        (data.capacity() >= SMALLEST_BYTES).then(|| Self {
            data: Arc::clone(data),
            slabs: slabs.clone(),
        })
    }
}

impl Drop for Recycle {
    fn drop(&mut self) {
        if let Some(buffer) = Arc::into_inner(std::mem::take(&mut self.data)) {
            self.slabs.give_back(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn classes_hold_what_they_are_for_with_little_waste() {
        for len in [64 << 10, 65_537, 100_000, 1 << 20, (1 << 20) + 1, (64 << 20) - 1] {
            let class = class_above(len);
            assert!(class >= len && class - len <= len / 4, "{len}: {class}");
            assert_eq!(class_below(class), class);
            assert!(class_below(class + 1) == class);
        }
        assert_eq!(class_above(usize::MAX), usize::MAX);
    }

    #[test]
    fn a_buffer_is_used_again_and_shows_nothing_of_before() {
        let slabs = Slabs::new(1 << 20);
        let first = Arc::new(slabs.copy(&vec![7; 100_000]).unwrap());
        let at = first.as_ptr();
        let recycle = Recycle::new(&first, &slabs);
        drop(first);
        drop(recycle);
        assert!(slabs.idle_bytes() >= 100_000);
        let second = slabs.copy(&vec![1; 99_000]).unwrap();
        assert_eq!((second.as_ptr(), second.len(), slabs.idle_bytes()), (at, 99_000, 0));
        assert!(second.iter().all(|&byte| byte == 1));
    }

    #[test]
    fn what_somebody_still_holds_is_not_given_to_another() {
        let slabs = Slabs::new(1 << 20);
        let held = Arc::new(slabs.copy(&vec![7; 100_000]).unwrap());
        drop(Recycle::new(&held, &slabs));
        assert_eq!(slabs.idle_bytes(), 0);
    }

    #[test]
    fn idle_bytes_are_bounded_and_can_be_freed() {
        let slabs = Slabs::new(150_000);
        for _ in 0..3 {
            slabs.give_back(Vec::with_capacity(100_000));
        }
        slabs.give_back(Vec::with_capacity(10));
        assert_eq!(slabs.idle_bytes(), 100_000);
        slabs.trim();
        assert_eq!(slabs.idle_bytes(), 0);
    }
}
