//! [`Error`]: `types.error`, and the one place where a session's error becomes one.

use dunlin_host_gpu::{ComputeError, Stopped};
use wasmtime::component::{ComponentType, Lower};

use crate::nn::{ErrorCode, NnError};

#[derive(Clone, Debug, PartialEq, Eq, ComponentType, Lower)]
#[component(variant)]
pub(super) enum Error {
    #[component(name = "invalid")]
    Invalid(String),
    #[component(name = "not-found")]
    NotFound(String),
    #[component(name = "denied")]
    Denied(String),
    #[component(name = "too-large")]
    TooLarge(String),
    #[component(name = "busy")]
    Busy(String),
    #[component(name = "deadline")]
    Deadline,
    #[component(name = "unsupported")]
    Unsupported(String),
    #[component(name = "failed")]
    Failed(String),
}

impl From<NnError> for Error {
    fn from(error: NnError) -> Self {
        match &error {
            NnError::Compute(ComputeError::Busy { .. }) => return Self::Busy(error.to_string()),
            NnError::Compute(ComputeError::Stopped(Stopped::DeadlinePassed)) => return Self::Deadline,
            _ => {}
        }
        let text = error.to_string();
        match error.code() {
            ErrorCode::InvalidArgument | ErrorCode::InvalidEncoding => Self::Invalid(text),
            ErrorCode::NotFound => Self::NotFound(text),
            ErrorCode::Security => Self::Denied(text),
            ErrorCode::TooLarge => Self::TooLarge(text),
            ErrorCode::UnsupportedOperation => Self::Unsupported(text),
            ErrorCode::Timeout => Self::Deadline,
            ErrorCode::RuntimeError | ErrorCode::Unknown => Self::Failed(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_learns_what_to_do() {
        let busy = NnError::Compute(ComputeError::Busy { queue_depth: 1 });
        assert!(matches!(Error::from(busy), Error::Busy(_)));
        let late = NnError::Compute(ComputeError::Stopped(Stopped::DeadlinePassed));
        assert_eq!(Error::from(late), Error::Deadline);
        let quota = NnError::Quota {
            what: "tensors",
            limit: 1,
        };
        assert!(matches!(Error::from(quota), Error::TooLarge(_)));
    }
}
