//! [`LinuxContainer`]: pause containers and sidecars, run by the node's OCI runtime. The shim is their parent: it signals,
//! freezes and accounts them itself, and calls the runtime only to make, start, enter and remove them.

use std::{path::PathBuf, time::Duration};

use containerd_shim_protos::protobuf::well_known_types::any::Any;
use rustix::process::Pid;

use crate::{
    cgroup::Cgroup,
    console::{Console, ConsoleSocket},
    container::{Container, Started},
    error::TaskError,
    process::Process,
    runc::{Runc, RuncError},
    stdio::{Stdio, StdioError},
};

/// The runtime sends the terminal before it reports success, so this is only reached when it sends none.
const TERMINAL_PATIENCE: Duration = Duration::from_secs(10);

/// A container of the OCI runtime.
#[derive(Debug)]
pub(crate) struct LinuxContainer {
    pub(crate) id: String,
    pub(crate) runc: Runc,
    pub(crate) no_pivot_root: bool,
}

impl LinuxContainer {
    /// Makes the container; its first process waits for [`start`](Self::start).
    pub(crate) async fn create(
        &self,
        bundle: &std::path::Path,
        process: &mut Process,
    ) -> Result<(Started, Cgroup), TaskError> {
        let pid_file = bundle.join("init.pid");
        let (bundle_text, pid_text) = (bundle.to_string_lossy(), pid_file.to_string_lossy());
        let mut arguments = vec!["create", "--bundle", &bundle_text, "--pid-file", &pid_text];
        if self.no_pivot_root {
            arguments.push("--no-pivot");
        }
        let started = self.launch(bundle, process, arguments, &self.id, &pid_file).await?;
        let cgroup = Cgroup::of_process(started.pid)?;
        Ok((started, cgroup))
    }

    pub(crate) async fn start(&self, container: &Container) -> Result<(), TaskError> {
        Ok(self.runc.run(&container.bundle, &["start", &self.id], None).await?)
    }

    /// Runs a further process in the container.
    pub(crate) async fn exec(
        &self,
        container: &Container,
        process: &mut Process,
        spec: &Any,
    ) -> Result<Started, TaskError> {
        let file = |name: &str| -> PathBuf { container.bundle.join(format!("exec-{}.{name}", process.id)) };
        let (spec_file, pid_file) = (file("json"), file("pid"));
        fs_err::write(&spec_file, &spec.value).map_err(|source| TaskError::Bundle {
            id: container.id.clone(),
            source,
        })?;
        let (spec_text, pid_text) = (spec_file.to_string_lossy(), pid_file.to_string_lossy());
        let arguments = vec!["exec", "--detach", "--process", &spec_text, "--pid-file", &pid_text];
        let started = self
            .launch(&container.bundle, process, arguments, &self.id, &pid_file)
            .await;
        for file in [&spec_file, &pid_file] {
            // The bundle goes with the container.
            let _ = fs_err::remove_file(file);
        }
        started
    }

    pub(crate) async fn delete(&self, bundle: &std::path::Path) -> Result<(), TaskError> {
        match self.runc.run(bundle, &["delete", "--force", &self.id], None).await {
            Err(RuncError::Failed { message, .. }) if message.contains("does not exist") => Ok(()),
            result => Ok(result?),
        }
    }

    /// Runs `create` or `exec` with the process's streams or a terminal.
    async fn launch<'a>(
        &'a self,
        bundle: &std::path::Path,
        process: &mut Process,
        mut arguments: Vec<&'a str>,
        id: &'a str,
        pid_file: &std::path::Path,
    ) -> Result<Started, TaskError> {
        let mark = self.runc.reaper.mark();
        let pid = if process.streams.terminal {
            let socket = ConsoleSocket::listen(&self.runc.root)?;
            let path = socket.path().to_string_lossy().into_owned();
            let mut arguments: Vec<&str> = arguments.iter().copied().chain(["--console-socket", &path]).collect();
            arguments.push(id);
            let (pid, master) = tokio::try_join!(
                async {
                    let pid = self.runc.start_process(bundle, &arguments, None, pid_file).await;
                    pid.map_err(TaskError::from)
                },
                receive(&socket)
            )?;
            process.console = Some(Console::start(master, &process.streams)?);
            pid
        } else {
            arguments.push(id);
            let Stdio { fds, held } = Stdio::open(&process.streams)?;
            process.held = held;
            self.runc.start_process(bundle, &arguments, Some(fds), pid_file).await?
        };
        Ok(self.watch(pid, mark))
    }

    fn watch(&self, pid: Pid, mark: crate::reaper::Mark) -> Started {
        Started {
            pid,
            ending: self.runc.reaper.watch(pid, mark),
        }
    }
}

async fn receive(socket: &ConsoleSocket) -> Result<std::os::fd::OwnedFd, TaskError> {
    let timed_out = |_| {
        TaskError::from(StdioError::Terminal {
            source: std::io::ErrorKind::TimedOut.into(),
        })
    };
    Ok(tokio::time::timeout(TERMINAL_PATIENCE, socket.receive())
        .await
        .map_err(timed_out)??)
}
