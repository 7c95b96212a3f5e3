//! Counters of one application, and [`InstanceStats`], what they say at one moment. Written on the way of every request,
//! so each is one relaxed atomic; they are not consistent with each other to the last event.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters of an application since it was linked. All only grow, except `live_instances`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InstanceStats {
    /// Instances started.
    pub instances_started: u64,
    /// Instances alive now, idle ones included.
    pub live_instances: u64,
    /// Runs or requests handed to a guest.
    pub calls: u64,
    /// Guests that trapped.
    pub traps: u64,
    /// Guests stopped at a time limit.
    pub deadlines_hit: u64,
    /// wasi-nn calls refused by a quota.
    pub quota_refusals: u64,
    /// `memory.grow` and `table.grow` refused by a limit.
    pub memory_refusals: u64,
    /// Requests refused because every instance was taken.
    pub busy_refusals: u64,
    /// Requests refused because their body was too large.
    pub body_refusals: u64,
    /// Computes finished.
    pub computes: u64,
    /// Bytes of tensors copied from guests' memory to the host: each once.
    pub tensor_bytes_in: u64,
    /// Bytes of tensors copied from the host to guests' memory: each once per read.
    pub tensor_bytes_out: u64,
    /// Output bytes dropped beyond `output_bytes`.
    pub output_bytes_dropped: u64,
    /// Lines of output dropped beyond `log_lines_per_second`.
    pub log_lines_dropped: u64,
    /// Requests that guests sent, refused ones included.
    pub outbound_requests: u64,
    /// Requests of guests that were denied, or over the number at once.
    pub outbound_refusals: u64,
}

/// One counter. `up` and `down` never wrap in practice: a u64 of events outlives the machine.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn up(&self) {
        self.add(1);
    }

    pub(crate) fn add(&self, by: u64) {
        self.0.fetch_add(by, Ordering::Relaxed);
    }

    pub(crate) fn down(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) instances_started: Counter,
    pub(crate) live_instances: Counter,
    pub(crate) calls: Counter,
    pub(crate) traps: Counter,
    pub(crate) deadlines_hit: Counter,
    pub(crate) quota_refusals: Counter,
    pub(crate) memory_refusals: Counter,
    pub(crate) busy_refusals: Counter,
    pub(crate) body_refusals: Counter,
    pub(crate) computes: Counter,
    pub(crate) tensor_bytes_in: Counter,
    pub(crate) tensor_bytes_out: Counter,
    pub(crate) output_bytes_dropped: Counter,
    pub(crate) log_lines_dropped: Counter,
    pub(crate) outbound_requests: Counter,
    pub(crate) outbound_refusals: Counter,
}

impl Counters {
    pub(crate) fn snapshot(&self) -> InstanceStats {
        InstanceStats {
            instances_started: self.instances_started.get(),
            live_instances: self.live_instances.get(),
            calls: self.calls.get(),
            traps: self.traps.get(),
            deadlines_hit: self.deadlines_hit.get(),
            quota_refusals: self.quota_refusals.get(),
            memory_refusals: self.memory_refusals.get(),
            busy_refusals: self.busy_refusals.get(),
            body_refusals: self.body_refusals.get(),
            computes: self.computes.get(),
            tensor_bytes_in: self.tensor_bytes_in.get(),
            tensor_bytes_out: self.tensor_bytes_out.get(),
            output_bytes_dropped: self.output_bytes_dropped.get(),
            log_lines_dropped: self.log_lines_dropped.get(),
            outbound_requests: self.outbound_requests.get(),
            outbound_refusals: self.outbound_refusals.get(),
        }
    }
}
