//! Workers: the processes that run guests. [`Launch`] is the shim's side: it clones a worker into the container's namespaces
//! and control group, tells it over a socket what to set up, and lets it go. [`inside`] is the worker's own side.

pub(crate) mod applet;
mod command;
mod confine;
mod enter;
mod filter;
mod http;
pub(crate) mod inside;
mod namespaces;
pub(crate) mod setup;

use std::{
    ffi::CString,
    io,
    os::{fd::OwnedFd, unix::net::UnixStream as BlockingStream},
    sync::Arc,
    time::Duration,
};

pub(crate) use namespaces::Namespaces;
use rustix::process::Pid;
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::UnixStream,
};

use self::setup::Setup;
use crate::{
    cgroup::{Cgroup, CgroupError},
    container::Started,
    reaper::{Ending, Reaper},
    sys,
};

/// A worker is ready in milliseconds; one that is starved by its processor limit may need seconds.
const READY_PATIENCE: Duration = Duration::from_secs(60);
/// Bound of one line on the socket.
const MAX_LINE_BYTES: u64 = 4 << 20;
const SIGKILL: i32 = 9;

/// Why there is no worker.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WorkerError {
    /// A namespace cannot be joined.
    #[error("cannot use the {kind} namespace {path}")]
    Namespace {
        /// Its kind.
        kind: String,
        /// Where it is.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A kind of namespace that workers do not do.
    #[error("a {kind} namespace is not supported for WebAssembly containers")]
    UnsupportedNamespace {
        /// Its kind.
        kind: String,
    },
    /// The process does not start.
    #[error("the worker does not start")]
    Spawn {
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Its control group.
    #[error(transparent)]
    Cgroup(#[from] CgroupError),
    /// It went away.
    #[error("the worker ended with code {code} before it was ready")]
    Died {
        /// Its exit code.
        code: u32,
    },
    /// It said why it cannot.
    #[error("the worker cannot run the guest: {message}")]
    Failed {
        /// Its words.
        message: String,
    },
    /// The code is not for this build of the runtime.
    #[error("the compiled code cannot be used: {message}")]
    StaleCode {
        /// The runtime's words.
        message: String,
    },
}

impl WorkerError {
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::UnsupportedNamespace { kind } if kind == "user" => {
                Some("leave hostUsers at its default for this RuntimeClass".to_owned())
            }
            Self::Died { code: 137 } => Some("it was killed: is the container's memory limit large enough?".to_owned()),
            _ => None,
        }
    }
}

/// What a worker says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Report {
    /// The guest is loaded and linked; nothing of it has run.
    Ready,
    /// The code is for another build; send a [`Setup`] with other code.
    Stale(String),
    /// There is nothing to be done.
    Failed(String),
}

/// What a worker is started with.
pub(crate) struct Launch<'a> {
    pub(crate) reaper: &'a Arc<Reaper>,
    pub(crate) cgroup: &'a Cgroup,
    pub(crate) namespaces: Namespaces,
    pub(crate) fds: [OwnedFd; 3],
    pub(crate) terminal: bool,
    pub(crate) oom_score_adj: Option<i32>,
}

/// A worker that is not yet known to containerd.
#[derive(Debug)]
pub(crate) struct Launched {
    pid: Pid,
    ending: Ending,
    control: Control,
}

/// The socket to a worker.
#[derive(Debug)]
pub(crate) struct Control {
    stream: BufReader<UnixStream>,
}

impl Launch<'_> {
    /// Clones the worker and moves it into its control group. It waits for its setup.
    pub(crate) fn spawn(self) -> Result<Launched, WorkerError> {
        let spawn = |source: io::Error| WorkerError::Spawn { source };
        let (ours, theirs) = BlockingStream::pair().map_err(spawn)?;
        ours.set_nonblocking(true).map_err(spawn)?;
        let ours = UnixStream::from_std(ours).map_err(spawn)?;
        let [stdin, stdout, stderr] = self.fds;
        let mark = self.reaper.mark();
        let exec = sys::Exec {
            program: CString::from(c"/proc/self/exe"),
            args: vec![CString::from(c"dunlin-worker"), CString::from(c"worker")],
            join: self.namespaces.join,
            clone_flags: self.namespaces.clone_flags,
            fds: [stdin, stdout, stderr, theirs.into()],
            terminal: self.terminal,
        };
        let pid = namespaces::with_pid_namespace(self.namespaces.pid.as_ref(), || sys::spawn(exec)).map_err(spawn)?;
        let launched = Launched {
            pid,
            ending: self.reaper.watch(pid, mark),
            control: Control {
                stream: BufReader::new(ours),
            },
        };
        if let Err(error) = self.cgroup.add(pid) {
            // Nothing runs outside its limits.
            let _ = sys::kill(pid, SIGKILL);
            return Err(error.into());
        }
        if let Some(score) = self.oom_score_adj {
            let path = format!("/proc/{}/oom_score_adj", pid.as_raw_nonzero());
            if let Err(error) = fs_err::write(path, score.to_string()) {
                // Lowering it takes a privilege that not every node gives.
                tracing::debug!(%error, "the out-of-memory score stays as it is");
            }
        }
        Ok(launched)
    }
}

impl Launched {
    /// Tells the worker what to be, and waits until it is.
    pub(crate) async fn set_up(&mut self, setup: &Setup) -> Result<(), WorkerError> {
        let answer = async {
            self.control.send(setup).await?;
            self.control.receive::<Report>().await
        };
        match tokio::time::timeout(READY_PATIENCE, answer).await {
            Ok(Ok(Report::Ready)) => Ok(()),
            Ok(Ok(Report::Stale(message))) => Err(WorkerError::StaleCode { message }),
            Ok(Ok(Report::Failed(message))) => Err(WorkerError::Failed { message }),
            // It is gone or does not answer: its end says more, if it comes.
            Ok(Err(error)) => match tokio::time::timeout(Duration::from_secs(1), &mut self.ending).await {
                Ok(Ok(exit)) => Err(WorkerError::Died { code: exit.code }),
                _ => Err(WorkerError::Spawn { source: error }),
            },
            Err(_) => Err(WorkerError::Spawn {
                source: io::ErrorKind::TimedOut.into(),
            }),
        }
    }

    /// Ends a worker that is of no use.
    pub(crate) async fn abandon(self) {
        // It may be gone already.
        let _ = sys::kill(self.pid, SIGKILL);
        let _ = self.ending.await;
    }

    pub(crate) fn into_started(self) -> (Control, Started) {
        let started = Started {
            pid: self.pid,
            ending: self.ending,
        };
        (self.control, started)
    }
}

impl Control {
    /// Lets the guest run.
    pub(crate) async fn go(mut self) -> Result<(), WorkerError> {
        self.send(&"go").await.map_err(|source| WorkerError::Spawn { source })
    }

    async fn send(&mut self, message: &impl Serialize) -> io::Result<()> {
        let mut line = serde_json::to_vec(message)?;
        line.push(b'\n');
        self.stream.get_mut().write_all(&line).await
    }

    async fn receive<T: for<'de> Deserialize<'de>>(&mut self) -> io::Result<T> {
        let mut line = Vec::new();
        let mut limited = (&mut self.stream).take(MAX_LINE_BYTES);
        if limited.read_until(b'\n', &mut line).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(serde_json::from_slice(&line)?)
    }
}
