//! [`RunError`]: why a command did not end by itself.

use std::time::Duration;

use crate::{BoxError, grants::GrantError, meter::DeadlineKind};

/// Why a command did not end by itself.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// A grant cannot be given.
    #[error("the command was not started")]
    Grant(#[from] GrantError),
    /// The guest starts with more memory than it may have.
    #[error("the command starts with {needed} bytes of memory, over the limit of {limit}")]
    InitialMemory {
        /// Bytes that its memories would have at the start.
        needed: u64,
        /// Bytes allowed.
        limit: u64,
    },
    /// Every instance of the engine is taken.
    #[error("every instance of this engine is taken")]
    Busy {
        /// Wasmtime's account of the pool.
        source: BoxError,
    },
    /// The guest reached a time limit.
    #[error("the command was stopped after its limit of {limit:?} of {kind}")]
    Deadline {
        /// Which limit.
        kind: DeadlineKind,
        /// The limit.
        limit: Duration,
    },
    /// The guest trapped, or could not be instantiated.
    #[error("the command trapped")]
    Trap {
        /// Wasmtime's account: the trap and where it happened.
        source: BoxError,
    },
}

impl RunError {
    /// One line telling the user what to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Grant(source) => source.hint(),
            Self::InitialMemory { .. } => Some("raise the guest's memory limit".to_owned()),
            Self::Busy { .. } => Some("try again later, or raise the number of instances of the pool".to_owned()),
            Self::Deadline { .. } => Some("raise the time limit".to_owned()),
            Self::Trap { .. } => None,
        }
    }
}
