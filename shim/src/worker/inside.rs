//! The worker's own side: a fresh process, already in the container's namespaces and control group, with its streams in
//! place. It enters the container's file system, loads the code, gives up its privileges, reports, and waits for the word.
//!
//! The order matters: the code cache is reached through the working folder, which stays open when the node's file system is
//! gone; capabilities go before the first thread starts; the system call filter comes when everything is loaded.

use std::{
    error::Error,
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    os::unix::net::UnixStream,
    path::Path,
    sync::Arc,
};

use dunlin_host_gpu::{Scheduler, SchedulerConfig};
use dunlin_runtime::{
    Code, CommandApp, Engine, EngineConfig, Grants, Limits, LinkOptions, PoolConfig, Preopen, Stdin, Stdout,
};
use rustix::fs::{Mode, OFlags};
use tokio::runtime::Runtime;

use super::{
    MAX_LINE_BYTES, Report, command, confine, enter, filter, http,
    setup::{Guest, Setup},
};
use crate::{error::chain, sys};

/// Requests that an HTTP guest serves at once.
pub(super) const MAX_INSTANCES: u32 = 64;
/// Threads for file operations of guests.
const MAX_BLOCKING_THREADS: usize = 8;
/// Threads that serve requests, where the container has that many processors.
const MAX_SERVING_THREADS: usize = 4;
/// As a shell says that a program cannot be run.
const CANNOT_RUN: i32 = 126;

type Fault = Box<dyn Error>;

/// A guest that is loaded and linked.
enum Loaded {
    Command(Box<CommandApp>),
    Http(Box<http::Server>),
    Applet,
}

/// The socket to the shim.
struct Shim(BufReader<UnixStream>);

impl Shim {
    /// The next orders, or the word to go.
    fn receive<T: serde::de::DeserializeOwned>(&mut self) -> io::Result<T> {
        let mut line = Vec::new();
        (&mut self.0).take(MAX_LINE_BYTES).read_until(b'\n', &mut line)?;
        Ok(serde_json::from_slice(&line)?)
    }

    fn report(&mut self, report: &Report) -> io::Result<()> {
        let mut line = serde_json::to_vec(report)?;
        line.push(b'\n');
        self.0.get_mut().write_all(&line)
    }
}

/// Runs a worker to its end.
pub(crate) fn run() -> ! {
    let Ok(control) = sys::take_control() else {
        // Nobody to report to: not started by a shim.
        sys::exit_now(CANNOT_RUN);
    };
    let mut shim = Shim(BufReader::new(control.into()));
    let code = match prepare(&mut shim) {
        Ok((setup, runtime, loaded)) => match shim.receive::<String>() {
            Ok(_go) => {
                drop(shim);
                perform(&setup, &runtime, loaded)
            }
            // The shim is gone, or gave the container up.
            Err(_) => CANNOT_RUN,
        },
        Err(fault) => {
            // The shim sees the end of the socket otherwise.
            let _ = shim.report(&Report::Failed(chain(fault.as_ref())));
            CANNOT_RUN
        }
    };
    // Threads that wait for standard input would keep the process from ending.
    let _ = io::stdout().flush();
    sys::exit_now(code)
}

fn prepare(shim: &mut Shim) -> Result<(Setup, Runtime, Loaded), Fault> {
    let mut setup: Setup = shim.receive()?;
    let cache = rustix::fs::open(
        &setup.code_cache,
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    );
    enter::enter(&setup.place)?;
    let refused = confine::limit(&setup.rlimits);
    confine::drop_capabilities(&setup.user)?;
    if let Ok(cache) = &cache {
        rustix::process::fchdir(cache)?;
    }
    let loaded = match &setup.guest {
        Guest::Applet(_) => None,
        Guest::Code(_) => {
            let engine = Engine::new(EngineConfig {
                pool: PoolConfig {
                    max_instances: MAX_INSTANCES,
                    ..PoolConfig::default()
                },
                ..EngineConfig::default()
            })?;
            let code = open(shim, &engine, &mut setup)?;
            Some((engine, code))
        }
    };
    rustix::process::chdir("/")?;
    drop(cache);
    confine::become_user(&setup.user)?;
    let serves = loaded.as_ref().is_some_and(|(_, code)| code.world().serves_http());
    let runtime = runtime(serves)?;
    filter::apply()?;
    for line in refused {
        let _ = writeln!(io::stderr(), "{line}");
    }
    let guest = match loaded {
        None => Loaded::Applet,
        Some((engine, code)) => link(&setup, &runtime, &engine, code)?,
    };
    shim.report(&Report::Ready)?;
    Ok((setup, runtime, guest))
}

/// Opens the code that the shim named, asking for other code where it is not for this engine.
fn open(shim: &mut Shim, engine: &Engine, setup: &mut Setup) -> Result<Code, Fault> {
    loop {
        let Guest::Code(code) = &setup.guest else {
            return Err("the orders changed".into());
        };
        // Relative to the working folder: the code cache.
        match engine.open_cached(Path::new(&code.file), &code.digest) {
            Ok(code) => return Ok(code),
            Err(error) => {
                shim.report(&Report::Stale(chain(&error)))?;
                setup.guest = shim.receive::<Setup>()?.guest;
            }
        }
    }
}

fn runtime(serves: bool) -> io::Result<Runtime> {
    let mut builder = if serves {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(threads.min(MAX_SERVING_THREADS));
        builder
    } else {
        tokio::runtime::Builder::new_current_thread()
    };
    builder.enable_all().max_blocking_threads(MAX_BLOCKING_THREADS).build()
}

fn link(setup: &Setup, runtime: &Runtime, engine: &Engine, code: Code) -> Result<Loaded, Fault> {
    if code.world().serves_http() {
        let bind = http::Server::bind(setup, engine, code, grants(setup), limits(setup), scheduler()?);
        return Ok(Loaded::Http(Box::new(runtime.block_on(bind)?)));
    }
    let app = CommandApp::new(engine, code, &LinkOptions::default())?;
    Ok(Loaded::Command(Box::new(app)))
}

fn perform(setup: &Setup, runtime: &Runtime, loaded: Loaded) -> i32 {
    match loaded {
        Loaded::Command(app) => runtime.block_on(command::run(&app, grants(setup), limits(setup), scheduler)),
        Loaded::Http(server) => runtime.block_on(server.run()),
        Loaded::Applet => match &setup.guest {
            Guest::Applet(applet) => applet.run(setup, &mut io::stdout(), &mut io::stderr()).into(),
            Guest::Code(_) => CANNOT_RUN,
        },
    }
}

/// The compute threads; a guest without models has one that waits.
fn scheduler() -> Result<Arc<Scheduler>, dunlin_host_gpu::SchedulerError> {
    Scheduler::new(SchedulerConfig {
        workers: std::num::NonZeroUsize::MIN,
        ..SchedulerConfig::default()
    })
    .map(Arc::new)
}

/// A guest gets what a process in its container would: its file system, its variables, its streams.
fn grants(setup: &Setup) -> Grants {
    let preopen = |guest: &str, host: &str| Preopen {
        host: host.into(),
        guest: guest.to_owned(),
        // The mounts themselves say what is read-only.
        read_only: false,
    };
    let mut preopens = vec![preopen("/", "/")];
    if setup.cwd.len() > 1 {
        preopens.push(preopen(".", &setup.cwd));
    }
    Grants {
        args: setup.args.clone(),
        env: setup.env.clone(),
        preopens,
        stdin: Stdin::Inherit,
        stdout: Stdout::Inherit,
        stderr: Stdout::Inherit,
        ..Grants::default()
    }
}

/// Memory is bounded by the container; the rest by the runtime's own defaults.
fn limits(setup: &Setup) -> Limits {
    Limits {
        memory_bytes: setup.memory_bytes.unwrap_or(u64::MAX),
        ..Limits::default()
    }
}
