//! What goes wrong with a task, and the one place where it becomes a status for containerd: the text of a refused create
//! is what `kubectl describe pod` shows.

use std::{error::Error, fmt::Write as _, io, path::PathBuf};

use ttrpc::{Code, get_status};

use crate::{cgroup::CgroupError, image::ImageError, runc::RuncError, stdio::StdioError, worker::WorkerError};

/// Why a container's specification cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SpecError {
    /// It cannot be read.
    #[error("cannot read the container's specification")]
    Read {
        /// The file system's answer, naming the path.
        #[source]
        source: io::Error,
    },
    /// It is larger than any real one.
    #[error("{} is larger than {limit} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Most bytes.
        limit: u64,
    },
    /// It is no specification.
    #[error("{} is not an OCI runtime specification", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and why.
        #[source]
        source: serde_json::Error,
    },
}

/// Why a request on a task failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TaskError {
    /// No such container or process.
    #[error("{what} `{id}` is not there")]
    NotFound {
        /// `container` or `process`.
        what: &'static str,
        /// Its id.
        id: String,
    },
    /// There is one of that name.
    #[error("{what} `{id}` is there already")]
    Exists {
        /// `container` or `process`.
        what: &'static str,
        /// Its id.
        id: String,
    },
    /// An id that would be a path, or no id.
    #[error("`{id}` is not a usable id")]
    BadId {
        /// The id.
        id: String,
    },
    /// Not in this state.
    #[error("cannot {operation} `{id}`, which is {state}")]
    WrongState {
        /// What was asked for.
        operation: &'static str,
        /// The container or process.
        id: String,
        /// Its state.
        state: &'static str,
    },
    /// Not offered.
    #[error("{what} is not supported")]
    Unsupported {
        /// What was asked for.
        what: String,
    },
    /// A message inside the request does not parse.
    #[error("the {what} of the request cannot be read")]
    Message {
        /// Which part.
        what: &'static str,
        /// Why.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The specification.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// The root file system cannot be mounted.
    #[error("cannot mount {source_path} on {}", target.display())]
    Mount {
        /// What.
        source_path: String,
        /// Where.
        target: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file of the bundle.
    #[error("cannot use the bundle of `{id}`")]
    Bundle {
        /// The container.
        id: String,
        /// The file system's answer, naming the path.
        #[source]
        source: io::Error,
    },
    /// The streams.
    #[error(transparent)]
    Stdio(#[from] StdioError),
    /// The control group.
    #[error(transparent)]
    Cgroup(#[from] CgroupError),
    /// runc.
    #[error(transparent)]
    Runc(#[from] RuncError),
    /// The image.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The worker.
    #[error(transparent)]
    Worker(#[from] WorkerError),
    /// A signal.
    #[error("cannot send signal {signal} to `{id}`")]
    Signal {
        /// Its number.
        signal: u32,
        /// The container or process.
        id: String,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl TaskError {
    /// One line telling the user what to do about it.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Image(error) => error.hint(),
            Self::Worker(error) => error.hint(),
            Self::Runc(error) => error.hint(),
            Self::Stdio(error) => error.hint(),
            Self::Cgroup(error) => error.hint(),
            _ => None,
        }
    }

    fn code(&self) -> Code {
        match self {
            Self::NotFound { .. } => Code::NOT_FOUND,
            Self::Exists { .. } => Code::ALREADY_EXISTS,
            Self::BadId { .. } | Self::Message { .. } | Self::Spec(_) => Code::INVALID_ARGUMENT,
            Self::WrongState { .. } => Code::FAILED_PRECONDITION,
            Self::Unsupported { .. } => Code::UNIMPLEMENTED,
            Self::Image(error) if error.is_refusal() => Code::PERMISSION_DENIED,
            _ => Code::UNKNOWN,
        }
    }
}

impl From<TaskError> for ttrpc::Error {
    fn from(error: TaskError) -> Self {
        let mut text = chain(&error);
        if let Some(hint) = error.hint() {
            // Writing to a string does not fail.
            let _ = write!(text, " (hint: {hint})");
        }
        Self::RpcStatus(get_status(error.code(), text))
    }
}

/// The error and its sources in one line.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        // Writing to a string does not fail.
        let _ = write!(text, ": {error}");
        source = error.source();
    }
    text
}
