//! [`Process`]: one process of a container as containerd knows it, the first one or one that was added by exec.

use std::io;

use containerd_shim_protos::{
    api::{StateResponse, Status},
    protobuf::MessageField,
};
use rustix::process::Pid;
use tokio::sync::watch;

use crate::{
    console::Console,
    error::TaskError,
    exit::Exit,
    message::timestamp,
    stdio::{Held, Streams},
    sys,
};

/// A process and its streams.
#[derive(Debug)]
pub(crate) struct Process {
    /// The container's id, or that of the exec.
    pub(crate) id: String,
    pub(crate) streams: Streams,
    pub(crate) pid: Option<Pid>,
    pub(crate) started: bool,
    pub(crate) held: Held,
    pub(crate) console: Option<Console>,
    exit: watch::Sender<Option<Exit>>,
}

impl Process {
    pub(crate) fn new(id: &str, streams: Streams) -> Self {
        Self {
            id: id.to_owned(),
            streams,
            pid: None,
            started: false,
            held: Held::default(),
            console: None,
            exit: watch::Sender::new(None),
        }
    }

    /// How it ended, if it has.
    pub(crate) fn exit(&self) -> Option<Exit> {
        *self.exit.borrow()
    }

    /// Tells everybody who waits that it ended, and lets go of its streams.
    pub(crate) fn set_exit(&mut self, exit: Exit) {
        self.held = Held::default();
        self.exit.send_replace(Some(exit));
    }

    /// The coming end.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Option<Exit>> {
        self.exit.subscribe()
    }

    /// Its id for messages; 0 before it was started.
    pub(crate) fn pid_number(&self) -> u32 {
        self.pid
            .and_then(|pid| u32::try_from(pid.as_raw_nonzero().get()).ok())
            .unwrap_or(0)
    }

    /// A process that runs or waits to be started.
    pub(crate) fn is_alive(&self) -> bool {
        self.pid.is_some() && self.exit().is_none()
    }

    pub(crate) fn status(&self) -> Status {
        match (self.exit(), self.started) {
            (Some(_), _) => Status::STOPPED,
            (None, true) => Status::RUNNING,
            (None, false) => Status::CREATED,
        }
    }

    /// Its state in a word, for errors.
    pub(crate) fn state(&self) -> &'static str {
        match self.status() {
            Status::STOPPED => "stopped",
            Status::RUNNING => "running",
            _ => "created",
        }
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// When it is not alive or the signal is none.
    pub(crate) fn signal(&self, signal: u32) -> Result<(), TaskError> {
        let gone = || TaskError::NotFound {
            what: "process",
            id: self.id.clone(),
        };
        let failed = |source| TaskError::Signal {
            signal,
            id: self.id.clone(),
            source,
        };
        let pid = self.pid.filter(|_| self.is_alive()).ok_or_else(gone)?;
        let number = i32::try_from(signal).map_err(|_| failed(io::ErrorKind::InvalidInput.into()))?;
        // The process is our child and not yet reaped, so its id is not another's.
        if sys::kill(pid, number).map_err(failed)? {
            Ok(())
        } else {
            Err(gone())
        }
    }

    pub(crate) fn describe(&self) -> StateResponse {
        let mut response = StateResponse {
            pid: self.pid_number(),
            status: self.status().into(),
            stdin: self.streams.stdin.clone(),
            stdout: self.streams.stdout.clone(),
            stderr: self.streams.stderr.clone(),
            terminal: self.streams.terminal,
            ..StateResponse::default()
        };
        if let Some(exit) = self.exit() {
            response.exit_status = exit.code;
            response.exited_at = MessageField::some(timestamp(exit.at));
        }
        response
    }
}
