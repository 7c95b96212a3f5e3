//! [`Runc`]: the OCI runtime of the Linux containers in a pod, driven by its command line. Works with runc and crun.

use std::{
    fmt, io,
    io::{Read as _, Seek as _, SeekFrom},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
};

use rustix::process::Pid;
use serde::{Deserialize, Serialize};

use crate::reaper::Reaper;

/// Most of a log that is searched for the last error.
const MAX_LOG_BYTES: u64 = 64 << 10;
/// Name of the file in the bundle.
const SAVED: &str = "dunlin-runtime.json";

/// Why the runtime did not do what was asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RuncError {
    /// It does not start.
    #[error("`{program}` does not start")]
    Spawn {
        /// The program.
        program: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It failed.
    #[error("`{program} {operation}` failed: {message}")]
    Failed {
        /// The program.
        program: String,
        /// Its subcommand.
        operation: String,
        /// Its own last words.
        message: String,
    },
    /// It did not say which process it started.
    #[error("`{program} {operation}` did not say which process it started")]
    PidFile {
        /// The program.
        program: String,
        /// Its subcommand.
        operation: String,
        /// Why the file cannot be read.
        #[source]
        source: io::Error,
    },
}

impl RuncError {
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Spawn { program, .. } => Some(format!(
                "install {program} on this node, or set `runtime` in the shim's configuration"
            )),
            _ => None,
        }
    }
}

/// How the runtime is called for the containers of one pod.
#[derive(Clone)]
pub(crate) struct Runc {
    pub(crate) program: String,
    pub(crate) root: PathBuf,
    pub(crate) systemd_cgroup: bool,
    pub(crate) reaper: Arc<Reaper>,
}

impl fmt::Debug for Runc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runc")
            .field("program", &self.program)
            .field("root", &self.root)
            .finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct LogLine {
    #[serde(default)]
    level: String,
    #[serde(default)]
    msg: String,
}

/// What `delete` has to know of a container whose shim is gone.
#[derive(Debug, Serialize, Deserialize)]
struct Saved {
    program: String,
    root: PathBuf,
    systemd_cgroup: bool,
}

impl Runc {
    /// Keeps in the bundle how the container's runtime is called.
    pub(crate) fn save(&self, bundle: &Path) -> io::Result<()> {
        let saved = Saved {
            program: self.program.clone(),
            root: self.root.clone(),
            systemd_cgroup: self.systemd_cgroup,
        };
        fs_err::write(bundle.join(SAVED), serde_json::to_vec(&saved)?)
    }

    /// What [`save`](Self::save) kept; `None` where there is nothing.
    pub(crate) fn load(bundle: &Path) -> Option<Self> {
        let bytes = fs_err::read(bundle.join(SAVED)).ok()?;
        let saved: Saved = serde_json::from_slice(&bytes).ok()?;
        Some(Self {
            program: saved.program,
            root: saved.root,
            systemd_cgroup: saved.systemd_cgroup,
            reaper: Arc::default(),
        })
    }

    /// Runs a subcommand and waits for it. `fds` become the streams of what it starts.
    ///
    /// # Cancel safety
    /// The command goes on and is reaped; its result is lost.
    pub(crate) async fn run(
        &self,
        bundle: &Path,
        arguments: &[&str],
        fds: Option<[OwnedFd; 3]>,
    ) -> Result<(), RuncError> {
        let log = bundle.join("runtime-log.json");
        let operation = arguments.first().copied().unwrap_or_default();
        let mut command = self.command(&log);
        command.args(arguments);
        match fds {
            Some([stdin, stdout, stderr]) => command.stdin(stdin).stdout(stdout).stderr(stderr),
            None => command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()),
        };
        let before = fs_err::metadata(&log).map_or(0, |metadata| metadata.len());
        let spawn = |source| RuncError::Spawn {
            program: self.program.clone(),
            source,
        };
        let mark = self.reaper.mark();
        let child = command.spawn().map_err(spawn)?;
        // The command holds the parent's ends of the streams.
        drop(command);
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| spawn(io::ErrorKind::InvalidData.into()))?;
        let ended = self.reaper.watch(pid, mark).await;
        match ended {
            Ok(exit) if exit.code == 0 => Ok(()),
            Ok(exit) => Err(RuncError::Failed {
                program: self.program.clone(),
                operation: operation.to_owned(),
                message: last_error(&log, before).unwrap_or_else(|| format!("exit code {}", exit.code)),
            }),
            Err(_) => Err(spawn(io::ErrorKind::BrokenPipe.into())),
        }
    }

    /// Like [`run`](Self::run), for what starts a process and writes its id to `pid_file`.
    pub(crate) async fn start_process(
        &self,
        bundle: &Path,
        arguments: &[&str],
        fds: Option<[OwnedFd; 3]>,
        pid_file: &Path,
    ) -> Result<Pid, RuncError> {
        self.run(bundle, arguments, fds).await?;
        let read = |source| RuncError::PidFile {
            program: self.program.clone(),
            operation: arguments.first().copied().unwrap_or_default().to_owned(),
            source,
        };
        let text = fs_err::read_to_string(pid_file).map_err(read)?;
        text.trim()
            .parse()
            .ok()
            .and_then(Pid::from_raw)
            .ok_or_else(|| read(io::ErrorKind::InvalidData.into()))
    }

    /// Removes what is left of a container, in the cleanup of a dead shim: without a reaper, waiting for the command.
    pub(crate) fn delete_now(&self, bundle: &Path, id: &str) {
        let mut command = self.command(&bundle.join("runtime-log.json"));
        command
            .args(["delete", "--force", id])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        if let Err(error) = command.status() {
            tracing::warn!(%error, id, "the Linux container could not be removed");
        }
    }

    fn command(&self, log: &Path) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--root").arg(&self.root).arg("--log").arg(log);
        command.args(["--log-format", "json"]);
        if self.systemd_cgroup {
            command.arg("--systemd-cgroup");
        }
        command
    }
}

/// The last error that the runtime logged after `from`.
fn last_error(log: &Path, from: u64) -> Option<String> {
    let mut file = fs_err::File::open(log).ok()?;
    file.seek(SeekFrom::Start(from)).ok()?;
    let mut text = String::new();
    file.take(MAX_LOG_BYTES).read_to_string(&mut text).ok()?;
    text.lines()
        .filter_map(|line| serde_json::from_str::<LogLine>(line).ok())
        .filter(|line| line.level == "error" || line.level == "fatal")
        .map(|line| line.msg.trim().to_owned())
        .next_back()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn the_last_error_of_this_call_is_reported() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let old = "{\"level\":\"error\",\"msg\":\"old\"}\n";
        fs_err::write(
            &log,
            format!(
                "{old}not json\n{{\"level\":\"warning\",\"msg\":\"w\"}}\n{{\"level\":\"error\",\"msg\":\"new\"}}\n"
            ),
        )
        .unwrap();
        let from = u64::try_from(old.len()).unwrap();
        assert_eq!(last_error(&log, from).as_deref(), Some("new"));
        assert_eq!(last_error(&log, 1 << 20), None);
    }
}
