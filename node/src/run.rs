//! Runs a command module with the standard streams of this process.

use std::{num::NonZeroUsize, sync::Arc};

use dunlin_host_gpu::{Engines, Scheduler, SchedulerConfig, SchedulerError};
use dunlin_runtime::{CommandApp, LinkError, LinkOptions, RunError, Stdin, Stdout};
use thiserror::Error;

use crate::{
    Node,
    code::{self, CodeError},
    resident::ResidentModels,
    sandbox::{Sandbox, SandboxError},
};

/// Instances of one run: the command itself.
const INSTANCES: u32 = 1;
/// A command computes one thing at a time.
const WORKERS: NonZeroUsize = NonZeroUsize::MIN;

/// Why a command did not run to its end.
#[derive(Debug, Error)]
pub enum RunFault {
    /// There is no code.
    #[error(transparent)]
    Code(#[from] CodeError),
    /// Its imports cannot be given.
    #[error("`{name}` cannot be linked")]
    Link {
        /// The module.
        name: String,
        /// Which imports, or what else.
        #[source]
        source: LinkError,
    },
    /// Its sandbox cannot be prepared.
    #[error("the sandbox of `{name}` cannot be prepared")]
    Sandbox {
        /// The module.
        name: String,
        /// Why.
        #[source]
        source: SandboxError,
    },
    /// The compute threads do not start.
    #[error(transparent)]
    Scheduler(#[from] SchedulerError),
    /// It trapped or broke a limit.
    #[error("`{name}` failed")]
    Run {
        /// The module.
        name: String,
        /// How.
        #[source]
        source: RunError,
    },
}

impl RunFault {
    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Code(error) => error.hint(),
            Self::Link { source, .. } => source.hint(),
            Self::Sandbox { source, .. } => source.hint(),
            Self::Scheduler(error) => error.hint(),
            Self::Run { source, .. } => source.hint(),
        }
    }
}

/// Runs `sandbox` to its end; `arguments` follow the module's name. Returns the guest's exit code, 0 to 255.
///
/// # Cancel safety
/// Dropping the future stops the guest.
///
/// # Errors
/// See [`RunFault`]; an exit code other than 0 is none.
pub async fn run(node: &Node, mut sandbox: Sandbox, engines: Engines, arguments: Vec<String>) -> Result<u8, RunFault> {
    let name = sandbox.module.name.clone();
    let engine = node.wasm_engine(INSTANCES).map_err(CodeError::from)?;
    let code = code::compile(&engine, &sandbox.module)?;
    let resident = Arc::new(ResidentModels::new(Arc::new(engines)));
    let timeout = sandbox.run_timeout();
    let mut prepared = sandbox.prepare(resident, timeout).map_err(|source| RunFault::Sandbox {
        name: name.clone(),
        source,
    })?;
    let options = LinkOptions {
        models: prepared.grants.models.is_some(),
    };
    let app = CommandApp::new(&engine, code, &options).map_err(|source| RunFault::Link {
        name: name.clone(),
        source,
    })?;
    let scheduler = Arc::new(Scheduler::new(SchedulerConfig {
        workers: WORKERS,
        ..SchedulerConfig::default()
    })?);
    let mut grants = std::mem::take(&mut prepared.grants);
    grants.args = std::iter::once(name.clone()).chain(arguments).collect();
    grants.stdin = Stdin::Inherit;
    grants.stdout = Stdout::Inherit;
    grants.stderr = Stdout::Inherit;
    let status = app
        .run(grants, prepared.limits.clone(), &scheduler)
        .await
        .map_err(|source| RunFault::Run { name, source })?;
    Ok(u8::try_from(status.code()).unwrap_or(u8::MAX))
}
