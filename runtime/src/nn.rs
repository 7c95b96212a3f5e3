//! The wasi-nn host. `session` is the core that every dialect shares: one guest's tensors, graphs, contexts and quotas,
//! free of component types and pointers. `wit` speaks `wasi:nn@0.2.0-rc-2024-10-28` and `inference` our own
//! `dunlin:inference` to components, `witx` speaks `wasi_ephemeral_nn` with WasmEdge's additions to core modules. None
//! knows where models come from, nor how they compute.

mod adapt;
mod error;
mod handles;
mod session;
mod slab;

pub(crate) mod inference;
pub(crate) mod wit;
pub(crate) mod witx;

pub(crate) use error::{ErrorCode, NnError};
use inference::InferenceState;
pub(crate) use session::{Session, SessionConfig};
pub(crate) use slab::Slabs;
use wit::ErrorTexts;
use witx::Contexts;

/// A guest's session, and what each dialect keeps beside it.
pub(crate) struct NnState {
    pub(crate) session: Session,
    errors: ErrorTexts,
    contexts: Contexts,
    inference: InferenceState,
}

/// A store's data that has a wasi-nn state.
pub(crate) trait NnView: Send + 'static {
    fn nn(&self) -> &NnState;
    fn nn_mut(&mut self) -> &mut NnState;
}

impl NnState {
    pub(crate) fn new(session: Session) -> Self {
        Self {
            session,
            errors: ErrorTexts::new(),
            contexts: Contexts::default(),
            inference: InferenceState::default(),
        }
    }
}
