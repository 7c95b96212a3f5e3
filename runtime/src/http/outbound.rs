//! Requests that guests send. [`OutboundHost`] says where they may go; `Outbound` is one guest's hook: it looks the host up
//! on the guest's list, resolves it once, refuses addresses that the list does not mean, and connects to just those that
//! were checked, so that a name cannot be bound to another address in between.

mod address;
mod body;
mod connect;
mod host;
mod send;
mod tls;

pub use host::{OutboundHost, OutboundHostError};
pub(crate) use send::Outbound;
pub(crate) use tls::Tls;
