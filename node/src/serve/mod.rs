//! Serves an HTTP module: [`Server`] joins the listener, the application and the models.

mod app;
mod linger;
pub(crate) mod listener;
pub(crate) mod signals;

use std::{
    net::SocketAddr,
    num::{NonZeroU32, NonZeroUsize},
    sync::Arc,
    time::Duration,
};

use dunlin_host_gpu::{Scheduler, SchedulerConfig, SchedulerError};
use dunlin_runtime::{HttpApp, HttpConfig, LinkError};
use thiserror::Error;
use tokio::net::TcpListener;

use crate::{
    Node,
    code::{self, CodeError},
    resident::{ResidentError, ResidentModels},
    sandbox::{Prepared, Sandbox, SandboxError},
};
use app::Application;
pub use listener::ListenerConfig;

/// How to serve.
#[derive(Debug, Clone)]
pub struct ServeOptions {
    /// Where to listen; port 0 takes a free one.
    pub address: SocketAddr,
    /// Requests per instance, instead of what the artifact asks for.
    pub instance_reuse: Option<u32>,
    /// Requests answered at once.
    pub max_concurrent: u32,
    /// Time that requests in flight get after a stop was asked for.
    pub grace_period: Duration,
    /// Load the models before listening, so that a server that listens can answer.
    pub preload: bool,
}

/// Why a module cannot be served.
#[derive(Debug, Error)]
pub enum ServeError {
    /// There is no code.
    #[error(transparent)]
    Code(#[from] CodeError),
    /// Its imports cannot be given, or it serves no HTTP.
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
    /// A model of its list cannot be loaded.
    #[error("a model of `{name}` cannot be loaded")]
    Model {
        /// The module.
        name: String,
        /// Why.
        #[source]
        source: ResidentError,
    },
    /// The compute threads do not start.
    #[error(transparent)]
    Scheduler(#[from] SchedulerError),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// The system's answer.
        #[source]
        source: std::io::Error,
    },
    /// Signals cannot be waited for.
    #[error("cannot wait for signals")]
    Signals(#[source] std::io::Error),
}

impl ServeError {
    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Code(error) => error.hint(),
            Self::Link { source, .. } => source.hint(),
            Self::Sandbox { source, .. } => source.hint(),
            Self::Model { source, .. } => source.hint(),
            Self::Scheduler(error) => error.hint(),
            Self::Bind { source, .. } => match source.kind() {
                std::io::ErrorKind::AddrInUse => {
                    Some("another process has the port: choose one with --addr".to_owned())
                }
                std::io::ErrorKind::PermissionDenied => Some("ports below 1024 need privileges".to_owned()),
                _ => Some("choose an address of this machine with --addr".to_owned()),
            },
            Self::Signals(_) => None,
        }
    }
}

/// A module that is linked, loaded and listening.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    application: Arc<Application>,
    signals: signals::Signals,
    config: ListenerConfig,
    // Holds the folder of model files for as long as guests may read it.
    _prepared: Prepared,
}

impl Server {
    /// Compiles, links, loads models and binds, in this order: a server that listens can answer.
    ///
    /// # Errors
    /// See [`ServeError`].
    pub async fn prepare(
        node: &Node,
        mut sandbox: Sandbox,
        resident: Arc<ResidentModels>,
        options: ServeOptions,
    ) -> Result<Self, ServeError> {
        let name = sandbox.module.name.clone();
        let concurrent = NonZeroU32::new(options.max_concurrent).unwrap_or(NonZeroU32::MIN);
        let engine = node.wasm_engine(concurrent.get()).map_err(CodeError::from)?;
        let code = code::compile(&engine, &sandbox.module)?;
        let deadline = sandbox.request_timeout();
        let reuse = options
            .instance_reuse
            .or_else(|| sandbox.module.capabilities.as_ref()?.instance_reuse)
            .and_then(NonZeroU32::new);
        let prepared = sandbox
            .prepare(resident, Some(deadline))
            .map_err(|source| ServeError::Sandbox {
                name: name.clone(),
                source,
            })?;
        let scheduler = Arc::new(Scheduler::new(SchedulerConfig::default())?);
        let config = HttpConfig {
            max_instance_reuse: reuse.unwrap_or(NonZeroU32::MIN),
            max_concurrent_instances: NonZeroUsize::try_from(concurrent).unwrap_or(NonZeroUsize::MIN),
            request_deadline: deadline,
        };
        let grants = app::with_logged_output(prepared.grants.clone());
        let app =
            HttpApp::new(&engine, code, grants, prepared.limits.clone(), config, scheduler).map_err(|source| {
                ServeError::Link {
                    name: name.clone(),
                    source,
                }
            })?;
        if options.preload {
            prepared.models.preload().await.map_err(|source| ServeError::Model {
                name: name.clone(),
                source,
            })?;
        }
        let signals = signals::Signals::listen().map_err(ServeError::Signals)?;
        let listener = listener::bind(options.address).await?;
        let address = listener.local_addr().map_err(|source| ServeError::Bind {
            address: options.address,
            source,
        })?;
        let config = ListenerConfig {
            grace_period: options.grace_period,
            ..ListenerConfig::default()
        };
        Ok(Self {
            listener,
            address,
            application: Arc::new(Application::new(app)),
            signals,
            config,
            _prepared: prepared,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until SIGTERM or SIGINT, then drains; a second signal skips the wait.
    pub async fn run(self) {
        let (stop, abort) = self.signals.into_futures();
        listener::serve(self.listener, self.application, &self.config, stop, abort).await;
    }
}
