//! [`HttpApp`]: serves HTTP requests with a `wasi:http/incoming-handler` guest: a fresh instance per request, or a bounded
//! number of requests per instance. Bodies stream both ways; what goes wrong on the host never reaches a client as text.

mod app;
mod body;
mod config;
mod error;
mod outbound;
mod worker;

pub use app::HttpApp;
pub use body::{ResponseBody, ResponseBodyError};
pub use config::HttpConfig;
pub use error::RequestError;
pub(crate) use outbound::DenyOutbound;
