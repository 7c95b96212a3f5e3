//! The wasi-nn host. `session` is the core that every dialect shares: one guest's tensors, graphs, contexts and quotas,
//! free of component types; `wit` speaks `wasi:nn@0.2.0-rc-2024-10-28` to components. Neither knows where models come
//! from, nor how they compute.

mod adapt;
mod error;
mod handles;
mod session;
pub(crate) mod wit;

pub(crate) use error::{ErrorCode, NnError};
pub(crate) use session::{Session, SessionConfig};
