//! [`HttpConfig`]: how many instances serve, for how long, and how often each.

use std::{
    num::{NonZeroU32, NonZeroUsize},
    time::Duration,
};

/// How an [`HttpApp`](super::HttpApp) serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpConfig {
    /// Requests that one instance serves, one after the other. With 1 no request can see anything of another; with more,
    /// a guest's memory carries over, and its state with it. Idle instances stay alive, at most one per request served
    /// at once.
    pub max_instance_reuse: NonZeroU32,
    /// Requests served at once; one more is refused with 503.
    pub max_concurrent_instances: NonZeroUsize,
    /// Time for a whole request, from its arrival to the last byte of the response and what the guest does afterwards.
    /// The earlier of this and [`Limits::wall`](crate::Limits::wall) counts.
    pub request_deadline: Duration,
}

impl Default for HttpConfig {
    /// One request per instance, 64 at once, 30 s each: what proxies in front wait for as a rule.
    fn default() -> Self {
        Self {
            max_instance_reuse: NonZeroU32::MIN,
            max_concurrent_instances: NonZeroUsize::MIN.saturating_add(63),
            request_deadline: Duration::from_secs(30),
        }
    }
}
