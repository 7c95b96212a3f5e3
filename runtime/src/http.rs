//! HTTP, both ways. [`HttpApp`] serves requests with a `wasi:http` guest: a fresh instance per request, or a bounded number
//! of requests per instance. Bodies stream both ways; what goes wrong on the host never reaches a client as text.
//! [`OutboundHost`] says where guests may send requests of their own.

mod app;
mod body;
mod config;
mod error;
mod guest;
mod outbound;
mod worker;

pub use app::HttpApp;
pub use body::{ResponseBody, ResponseBodyError};
pub use config::HttpConfig;
pub use error::RequestError;
pub(crate) use outbound::{Outbound, Tls};
pub use outbound::{OutboundHost, OutboundHostError};
