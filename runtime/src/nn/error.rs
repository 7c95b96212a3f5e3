//! [`NnError`]: every way in which a wasi-nn call fails, with the [`ErrorCode`] and the text that the guest sees. What the
//! host knows beyond that is logged and never handed on.

use dunlin_host_gpu::{BudgetExceeded, ComputeError, ContextError, Stopped, TensorError};

use crate::models::OpenModelError;

/// wasi-nn's error codes, in the order of the WIT enum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ErrorCode {
    InvalidArgument,
    InvalidEncoding,
    Timeout,
    RuntimeError,
    UnsupportedOperation,
    TooLarge,
    NotFound,
    Security,
    Unknown,
}

/// A call that failed. `Display` is for the guest.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NnError {
    #[error("there is no {what} with this handle")]
    BadHandle { what: &'static str },
    #[error("{0}")]
    Tensor(#[from] TensorError),
    #[error("this tensor was refused when it was made: {why}")]
    RefusedTensor { code: ErrorCode, why: &'static str },
    #[error("the quota of {limit} {what} is used up")]
    Quota { what: &'static str, limit: u64 },
    #[error("{0}")]
    Budget(#[from] BudgetExceeded),
    #[error("a {what} of {len} bytes is over the limit of {limit}")]
    NameTooLong {
        what: &'static str,
        len: usize,
        limit: usize,
    },
    #[error("the host has no memory for {bytes} bytes")]
    HostMemory { bytes: usize },
    #[error("the guest exports no memory")]
    NoMemory,
    #[error("{what} lies outside of the guest's memory")]
    OutOfBounds { what: &'static str },
    #[error("there is no {what} {number}")]
    BadNumber { what: &'static str, number: u32 },
    #[error("encoding {number} is none of a model that this host loads")]
    BadEncoding { number: u32 },
    #[error("{what} is not UTF-8")]
    NotText { what: &'static str },
    #[error("the buffer of {given} bytes is too short for {needed}")]
    ShortBuffer { needed: usize, given: usize },
    #[error("the graph was unloaded")]
    Unloaded,
    #[error("nothing has been computed on this context")]
    NothingComputed,
    #[error("the model has no output `{output}`")]
    UnknownOutput { output: String },
    #[error("bytes {offset} to {end} are asked of a tensor of {len}")]
    OutOfTensor { offset: u64, end: u64, len: usize },
    #[error("a single element cannot be sliced")]
    NoDimension,
    #[error("the model is not a language model that this host runs")]
    NotLanguageModel,
    #[error("a model is one part of bytes, but {given} were given")]
    ModelParts { given: usize },
    #[error("model `{model}`: {error}")]
    Open { model: String, error: OpenModelError },
    #[error("the host could not make an execution context")]
    Context(ContextError),
    #[error("{}", compute_text(.0))]
    Compute(ComputeError),
    #[error("output `{output}` is of type {element_type}, which wasi-nn cannot carry")]
    UnsupportedOutput {
        output: String,
        element_type: dunlin_host_gpu::ElementType,
    },
}

impl NnError {
    pub(crate) fn code(&self) -> ErrorCode {
        match self {
            Self::BadHandle { .. }
            | Self::Tensor(_)
            | Self::NameTooLong { .. }
            | Self::NoMemory
            | Self::OutOfBounds { .. }
            | Self::BadNumber { .. }
            | Self::NotText { .. }
            | Self::Unloaded
            | Self::NoDimension
            | Self::UnknownOutput { .. }
            | Self::OutOfTensor { .. }
            | Self::ModelParts { .. } => ErrorCode::InvalidArgument,
            Self::BadEncoding { .. } => ErrorCode::InvalidEncoding,
            Self::Quota { .. } | Self::Budget(_) | Self::HostMemory { .. } | Self::ShortBuffer { .. } => {
                ErrorCode::TooLarge
            }
            Self::RefusedTensor { code, .. } => *code,
            Self::Open { error, .. } => open_code(error),
            Self::Context(_) | Self::NothingComputed => ErrorCode::RuntimeError,
            Self::Compute(error) => compute_code(error),
            Self::UnsupportedOutput { .. } | Self::NotLanguageModel => ErrorCode::UnsupportedOperation,
        }
    }

    /// Whether a quota of the guest's is the reason, for the counters.
    pub(crate) fn is_quota(&self) -> bool {
        matches!(self, Self::Quota { .. } | Self::Budget(_))
    }
}

fn open_code(error: &OpenModelError) -> ErrorCode {
    match error {
        OpenModelError::NotFound => ErrorCode::NotFound,
        OpenModelError::Denied => ErrorCode::Security,
        OpenModelError::TooLarge => ErrorCode::TooLarge,
        OpenModelError::InvalidEncoding => ErrorCode::InvalidEncoding,
        OpenModelError::Unsupported => ErrorCode::UnsupportedOperation,
        OpenModelError::Failed(_) => ErrorCode::RuntimeError,
    }
}

fn compute_code(error: &ComputeError) -> ErrorCode {
    match error {
        error if error.is_invalid_input() => ErrorCode::InvalidArgument,
        ComputeError::TensorTooLarge { .. } => ErrorCode::TooLarge,
        ComputeError::UnsupportedOutput { .. } => ErrorCode::UnsupportedOperation,
        ComputeError::Stopped(Stopped::DeadlinePassed) => ErrorCode::Timeout,
        _ => ErrorCode::RuntimeError,
    }
}

/// The engine's own words stay on the host; what is wrong with the guest's inputs does not.
fn compute_text(error: &ComputeError) -> String {
    match error {
        ComputeError::Engine { .. } | ComputeError::EnginePanicked { .. } => {
            "the engine failed on this model".to_owned()
        }
        ComputeError::Busy { .. } => "the host is busy, try again later".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use dunlin_host_gpu::EngineFault;

    use super::*;

    #[test]
    fn codes_say_whose_fault_it_is() {
        let compute = |error| NnError::Compute(error).code();
        assert_eq!(
            compute(ComputeError::MissingInput { input: "x".into() }),
            ErrorCode::InvalidArgument
        );
        assert_eq!(
            compute(ComputeError::Stopped(Stopped::DeadlinePassed)),
            ErrorCode::Timeout
        );
        assert_eq!(compute(ComputeError::Busy { queue_depth: 1 }), ErrorCode::RuntimeError);
        let open = |error| {
            NnError::Open {
                model: "m".into(),
                error,
            }
            .code()
        };
        assert_eq!(open(OpenModelError::Denied), ErrorCode::Security);
        assert_eq!(open(OpenModelError::NotFound), ErrorCode::NotFound);
    }

    #[test]
    fn host_details_stay_on_the_host() {
        let source = EngineFault::new("/var/lib/secret");
        let engine = ComputeError::Engine {
            engine: "tract",
            step: "node 3".into(),
            source,
        };
        let text = NnError::Compute(engine).to_string();
        assert_eq!(text, "the engine failed on this model");
        let failed = OpenModelError::Failed("/var/lib/secret".into());
        let text = NnError::Open {
            model: "m".into(),
            error: failed,
        }
        .to_string();
        assert_eq!(text, "model `m`: the host failed to load the model");
    }
}
