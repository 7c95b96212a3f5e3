//! The shim's process: one thread that answers containerd, reaps children and tells of events, until the pod is empty.

use std::{io, os::fd::OwnedFd, sync::Arc, time::Duration};

use containerd_shim_protos::shim_async::create_task;
use rustix::process::{Pid, set_child_subreaper};
use tokio::{
    net::UnixListener,
    signal::unix::{SignalKind, signal},
    task::JoinSet,
};
use tracing_subscriber::filter::LevelFilter;
use ttrpc::asynchronous::{Server, transport::Listener};

use crate::{
    args::Args,
    config::{Config, ConfigError},
    events::Events,
    pod::Pod,
    reaper::Reaper,
    service::TaskService,
    wasm::Containerd,
};

/// The Task API's name before containerd 2.0. Its messages are the same.
const TASK_V2: &str = "containerd.task.v2.Task";
const TASK_V3: &str = "containerd.task.v3.Task";
/// Time for the last events and answers when the shim ends.
const PARTING: Duration = Duration::from_secs(2);

/// Why the shim does not serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Its configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Standard input is not the socket that `start` bound.
    #[error("the shim is started by `start`, with its socket as standard input")]
    Socket {
        /// Why it is not.
        #[source]
        source: io::Error,
    },
    /// A part of the process cannot be set up.
    #[error("cannot {step}")]
    Process {
        /// What was tried.
        step: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The API server does not start.
    #[error("cannot serve the Task API")]
    Server {
        /// Why.
        #[source]
        source: ttrpc::Error,
    },
}

fn step(step: &'static str) -> impl Fn(io::Error) -> ServeError {
    move |source| ServeError::Process { step, source }
}

/// Serves the pod to its end.
///
/// # Errors
/// See [`ServeError`]; nothing was served then.
pub fn serve(args: &Args) -> Result<(), ServeError> {
    let listener = take_listener().map_err(|source| ServeError::Socket { source })?;
    log_to_containerd(args.debug);
    let served = set_up_and_run(args, listener);
    if let Err(error) = &served {
        tracing::error!(error = crate::error::chain(error), "the shim cannot serve");
    }
    if let Some(socket) = &args.socket {
        // Gone already when containerd cleaned up first.
        let _ = fs_err::remove_file(socket);
    }
    served
}

fn set_up_and_run(args: &Args, listener: std::os::unix::net::UnixListener) -> Result<(), ServeError> {
    let config = Config::load(args.config.as_deref())?;
    let own = Pid::from_raw(i32::try_from(std::process::id()).unwrap_or(0));
    set_child_subreaper(own).map_err(|error| step("become the parent of orphans")(error.into()))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(step("start"))?;
    runtime.block_on(run(args, config, listener))
}

async fn run(args: &Args, config: Config, listener: std::os::unix::net::UnixListener) -> Result<(), ServeError> {
    let reaper = Arc::new(Reaper::default());
    let mut children = signal(SignalKind::child()).map_err(step("watch children"))?;
    let mut terminate = signal(SignalKind::terminate()).map_err(step("catch signals"))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(step("catch signals"))?;
    // A client that goes away must not end the shim.
    let _pipe = signal(SignalKind::pipe()).map_err(step("catch signals"))?;
    let mut owned = JoinSet::new();
    owned.spawn({
        let reaper = Arc::clone(&reaper);
        async move {
            while children.recv().await.is_some() {
                reaper.reap();
            }
        }
    });
    let (events, publisher) = Events::start(&args.ttrpc_address, &args.namespace);
    let containerd = Containerd {
        address: args.address.clone(),
    };
    let pod = Pod::new(&args.namespace, config, containerd, reaper, events);
    let mut services = create_task(Arc::new(TaskService::new(Arc::clone(&pod))));
    for service in create_task(Arc::new(TaskService::new(Arc::clone(&pod)))).into_values() {
        services.insert(TASK_V2.to_owned(), service);
    }
    debug_assert!(
        services.contains_key(TASK_V3),
        "the generated service is that of the newer API"
    );
    listener.set_nonblocking(true).map_err(step("listen"))?;
    let listener = UnixListener::from_std(listener).map_err(step("listen"))?;
    let mut server = Server::new()
        .add_listener(Listener::from(listener))
        .register_service(services);
    server.start().await.map_err(|source| ServeError::Server { source })?;
    tracing::debug!(id = args.id, namespace = args.namespace, "serving");
    tokio::select! {
        () = pod.shutdown.notified() => {}
        _ = terminate.recv() => tracing::info!("terminated"),
        _ = interrupt.recv() => tracing::info!("interrupted"),
    }
    pod.kill_all().await;
    // The answer to the shutdown request goes out first.
    let _ = tokio::time::timeout(PARTING, server.shutdown()).await;
    drop(server);
    pod.finish().await;
    drop(pod);
    publisher.flush(PARTING).await;
    Ok(())
}

/// The listening socket, from standard input, which becomes empty.
fn take_listener() -> io::Result<std::os::unix::net::UnixListener> {
    let socket: OwnedFd = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)?;
    if !rustix::net::sockopt::socket_acceptconn(&socket)? {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let null = fs_err::File::open("/dev/null")?;
    rustix::stdio::dup2_stdin(null.file())?;
    Ok(socket.into())
}

/// containerd reads the FIFO `log` in the bundle, which is the working folder. While nobody reads, nothing is logged.
fn log_to_containerd(debug: bool) {
    use fs_err::os::unix::fs::OpenOptionsExt as _;
    let file = fs_err::OpenOptions::new()
        .write(true)
        .custom_flags(libc::O_NONBLOCK)
        .open("log");
    let Ok(file) = file else { return };
    let level = if debug { LevelFilter::DEBUG } else { LevelFilter::INFO };
    // Only the first subscriber of a process counts; this is it.
    let _ = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_max_level(level)
        .with_writer(std::sync::Mutex::new(file.into_file()))
        .try_init();
}
