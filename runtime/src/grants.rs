//! [`Grants`]: everything a guest may touch beyond its own memory; the default is nothing at all. [`GrantError`] says why
//! a grant cannot be given.

use std::{fmt, path::PathBuf, sync::Arc};

use dunlin_host_gpu::MemoryBudget;

use crate::{
    BoxError,
    http::OutboundHost,
    models::ModelProvider,
    stdio::{Stdin, Stdout},
};

/// What a guest gets. Clocks, random numbers and its own memory are always there; the rest is named here.
#[derive(Clone, Default)]
pub struct Grants {
    /// Arguments, the program's name first, as `main` sees them.
    pub args: Vec<String>,
    /// Environment variables. The host's own are never inherited.
    pub env: Vec<(String, String)>,
    /// Host folders that it may open.
    pub preopens: Vec<Preopen>,
    /// Where its standard input comes from.
    pub stdin: Stdin,
    /// Where its standard output goes.
    pub stdout: Stdout,
    /// Where its standard error goes.
    pub stderr: Stdout,
    /// Hosts that it may send HTTP requests to: what its artifact asks for and the operator grants, see
    /// [`OutboundHost::intersection`]. Any other gets `HTTP-request-denied`.
    pub outbound_hosts: Arc<[OutboundHost]>,
    /// The models that it may open through wasi-nn; `None` leaves wasi-nn out.
    pub models: Option<Arc<dyn ModelProvider>>,
    /// Budget that the store's own tensor budget is carved from, shared with other guests; `None` for no bound but the
    /// store's.
    pub tensor_budget: Option<MemoryBudget>,
}

/// A host folder that a guest may open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preopen {
    /// The folder on the host.
    pub host: PathBuf,
    /// Its name in the guest, such as `/data`.
    pub guest: String,
    /// Whether files may be read only.
    pub read_only: bool,
}

impl fmt::Debug for Grants {
    /// Environment values may be secrets: only names are shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grants")
            .field("args", &self.args)
            .field("env", &self.env.iter().map(|(name, _)| name).collect::<Vec<_>>())
            .field("preopens", &self.preopens)
            .field("stdin", &self.stdin)
            .field("stdout", &self.stdout)
            .field("stderr", &self.stderr)
            .field("outbound_hosts", &self.outbound_hosts)
            .field("models", &self.models.is_some())
            .field("tensor_budget", &self.tensor_budget)
            .finish()
    }
}

/// Why a grant cannot be given.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GrantError {
    /// A host folder cannot be opened.
    #[error("folder {} cannot be granted", host.display())]
    Preopen {
        /// The folder.
        host: PathBuf,
        /// Why it cannot be opened.
        source: BoxError,
    },
}

impl GrantError {
    /// One line telling the user what to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Preopen { .. } => "check that the folder exists and that this user may read it".to_owned(),
        })
    }
}
