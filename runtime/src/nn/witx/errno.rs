//! [`Errno`]: the numbers that core modules get. 0 to 8 are those of wasi-nn's witx file, 100 to 103 WasmEdge's.

use dunlin_host_gpu::{ComputeError, Stopped};

use crate::{
    models::OpenModelError,
    nn::{ErrorCode, NnError},
};

/// `$nn_errno`. The numbers of WasmEdge's that this host never gives (end of sequence, context full, prompt too long) are
/// left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub(super) enum Errno {
    Success = 0,
    InvalidArgument = 1,
    InvalidEncoding = 2,
    MissingMemory = 3,
    Busy = 4,
    RuntimeError = 5,
    UnsupportedOperation = 6,
    TooLarge = 7,
    NotFound = 8,
}

impl Errno {
    /// What the guest's function returns.
    pub(super) fn raw(self) -> u32 {
        u32::from(self as u16)
    }

    /// The witx file has no number for time-outs and denials: both are told as what the guest can do about them.
    pub(super) fn of(error: &NnError) -> Self {
        match error {
            NnError::NoMemory => return Self::MissingMemory,
            NnError::Compute(ComputeError::Busy { .. }) => return Self::Busy,
            NnError::Compute(ComputeError::Stopped(Stopped::DeadlinePassed)) => return Self::RuntimeError,
            NnError::Open {
                error: OpenModelError::Denied,
                ..
            } => return Self::UnsupportedOperation,
            _ => {}
        }
        match error.code() {
            ErrorCode::InvalidArgument => Self::InvalidArgument,
            ErrorCode::InvalidEncoding => Self::InvalidEncoding,
            ErrorCode::UnsupportedOperation | ErrorCode::Security => Self::UnsupportedOperation,
            ErrorCode::TooLarge => Self::TooLarge,
            ErrorCode::NotFound => Self::NotFound,
            ErrorCode::Timeout | ErrorCode::RuntimeError | ErrorCode::Unknown => Self::RuntimeError,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_witx_file() {
        let all = [
            Errno::Success,
            Errno::InvalidArgument,
            Errno::InvalidEncoding,
            Errno::MissingMemory,
            Errno::Busy,
            Errno::RuntimeError,
            Errno::UnsupportedOperation,
            Errno::TooLarge,
            Errno::NotFound,
        ];
        assert_eq!(all.map(Errno::raw), [0, 1, 2, 3, 4, 5, 6, 7, 8]);
    }

    #[test]
    fn a_busy_host_says_so() {
        let busy = NnError::Compute(ComputeError::Busy { queue_depth: 1 });
        assert_eq!(Errno::of(&busy), Errno::Busy);
        let denied = NnError::Open {
            model: "m".into(),
            error: OpenModelError::Denied,
        };
        assert_eq!(Errno::of(&denied), Errno::UnsupportedOperation);
    }
}
