//! Failures of `xtask tools`: [`ToolError`].

use super::go::NEEDED;
use crate::venv::VenvError;

/// A tool could not be built.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ToolError {
    /// No such tool.
    #[error("there is no tool `{name}`")]
    Unknown {
        /// What was asked for.
        name: String,
    },
    /// A folder of the tool or of the cache cannot be read or written.
    #[error("cannot prepare a tool")]
    Io(#[from] std::io::Error),
    /// Go is not installed.
    #[error("cannot run go")]
    NoGo(#[source] std::io::Error),
    /// Go is too old, and does not bring a newer one.
    #[error("Go {NEEDED} or newer is needed, not: {found}")]
    OldGo {
        /// Its version, or what it said.
        found: String,
    },
    /// The compiler or the module proxy refused.
    #[error("cannot build {program} of {name}: {detail}")]
    Build {
        /// The tool.
        name: &'static str,
        /// The program.
        program: &'static str,
        /// Go's last line.
        detail: String,
    },
    /// The Python environment of a tool could not be made.
    #[error(transparent)]
    Venv(#[from] VenvError),
}

impl ToolError {
    /// Whether the machine lacks something: not a fault of this repository.
    pub(super) fn is_beyond_us(&self) -> bool {
        matches!(
            self,
            Self::NoGo(_) | Self::OldGo { .. } | Self::Build { .. } | Self::Venv(_)
        )
    }

    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Unknown { .. } => Some("`cargo xtask tools` lists them".to_owned()),
            Self::Io(_) => Some("is the disk full, or the cache not yours? DUNLIN_CACHE moves it".to_owned()),
            Self::NoGo(_) | Self::OldGo { .. } => Some(format!(
                "install Go {NEEDED} from its own site: a distribution's package is often older"
            )),
            Self::Build { .. } => {
                Some("is the Go module proxy reachable? `go build` in the tool's folder shows all of it".to_owned())
            }
            Self::Venv(error) => error.hint(),
        }
    }
}
