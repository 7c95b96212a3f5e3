//! [`WasmContainer`]: a container whose program is WebAssembly. Here the program is found, trusted, compiled and handed to a
//! worker; the guest itself never runs in the shim.

mod program;

use std::{path::Path, sync::Arc};

use containerd_shim_protos::protobuf::well_known_types::any::Any;
use rustix::process::Pid;

pub(crate) use program::{Module, find_module};

use crate::{
    cgroup::Cgroup,
    code_cache::CodeCache,
    console::{Console, open_terminal},
    container::{Container, Started},
    error::TaskError,
    pod::Pod,
    process::Process,
    spec::{self, Spec},
    stdio::{Held, Stdio},
    worker::{
        Control, Launch, Namespaces, WorkerError,
        setup::{Code, Guest, Setup},
    },
};

/// How containerd is reached for what only it knows of an image.
#[derive(Clone, Debug)]
pub(crate) struct Containerd {
    /// Its gRPC socket.
    pub(crate) address: String,
}

/// A WebAssembly container.
#[derive(Debug)]
pub(crate) struct WasmContainer {
    control: Option<Control>,
    launch: Arc<Parts>,
}

/// What every worker of the container is made from.
#[derive(Debug)]
struct Parts {
    spec: Spec,
    setup: Setup,
    module: Module,
    cache: CodeCache,
}

impl WasmContainer {
    /// Makes the control group and the worker, which loads the code and waits. A refusal leaves nothing behind.
    pub(crate) async fn create(
        pod: &Pod,
        id: &str,
        bundle: &Path,
        spec: &Spec,
        module: Module,
        process: &mut Process,
    ) -> Result<(Self, Started, Cgroup), TaskError> {
        let cache = CodeCache::new(&pod.config, Arc::clone(&pod.reaper));
        let setup = Setup::new(&pod.config, id, bundle, spec, &module)?;
        let parts = Parts {
            spec: spec.clone(),
            setup,
            module,
            cache,
        };
        let cgroup = Cgroup::create(&spec.linux.cgroups_path, &spec.linux.resources)?;
        let namespaces = Namespaces::of_spec(spec);
        let made = match namespaces {
            Ok(namespaces) => parts.start(process, &cgroup, namespaces, parts.setup.clone()).await,
            Err(error) => Err(error.into()),
        };
        match made {
            Ok((control, started)) => {
                let container = Self {
                    control: Some(control),
                    launch: Arc::new(parts),
                };
                Ok((container, started, cgroup))
            }
            Err(error) => {
                cgroup.kill();
                cgroup.remove().await;
                Err(error)
            }
        }
    }

    /// Lets the guest run.
    pub(crate) async fn start(&mut self) -> Result<(), TaskError> {
        match self.control.take() {
            Some(control) => Ok(control.go().await?),
            None => Ok(()),
        }
    }

    /// Runs another module of the image, or a built-in applet, inside the container.
    pub(crate) async fn exec(
        &mut self,
        container: &Container,
        process: &mut Process,
        request: &Any,
        cgroup: &Cgroup,
        init: Option<Pid>,
    ) -> Result<Started, TaskError> {
        let spec: spec::Process = serde_json::from_slice(&request.value).map_err(|error| TaskError::Message {
            what: "process",
            source: error.into(),
        })?;
        let init = init.ok_or_else(|| TaskError::NotFound {
            what: "process",
            id: container.id.clone(),
        })?;
        let guest = program::exec_guest(container, &self.launch.spec, &spec)?;
        let setup = self.launch.setup.for_exec(&spec, guest, init.as_raw_nonzero().get());
        let namespaces = Namespaces::of_process(init)?;
        let (control, started) = self.launch.start(process, cgroup, namespaces, setup).await?;
        control.go().await?;
        Ok(started)
    }
}

impl Parts {
    /// Starts a worker, compiling first where the code is not in the cache or not for this build.
    async fn start(
        &self,
        process: &mut Process,
        cgroup: &Cgroup,
        namespaces: Namespaces,
        mut setup: Setup,
    ) -> Result<(Control, Started), TaskError> {
        let mut compiled = false;
        if let Guest::Code(code) = &mut setup.guest {
            compiled = self.locate(code).await?;
        }
        let (stdio, master) = streams(process)?;
        let (held, fds) = (stdio.held, stdio.fds);
        let mut launch = Launch {
            reaper: self.cache.reaper(),
            cgroup,
            namespaces,
            fds,
            terminal: process.streams.terminal,
            oom_score_adj: self.spec.process.oom_score_adj,
        }
        .spawn()?;
        let mut ready = launch.set_up(&setup).await;
        if let (Err(WorkerError::StaleCode { .. }), Guest::Code(code), false) = (&ready, &mut setup.guest, compiled) {
            code.file = self
                .cache
                .compile(&code.digest, &self.module.file(&code.digest)?)
                .await?;
            ready = launch.set_up(&setup).await;
        }
        if let Err(error) = ready {
            launch.abandon().await;
            return Err(error.into());
        }
        process.held = held;
        if let Some(master) = master {
            process.console = Some(Console::start(master, &process.streams)?);
        }
        Ok(launch.into_started())
    }

    /// Fills in the file of the compiled code. Whether it was compiled just now.
    async fn locate(&self, code: &mut Code) -> Result<bool, TaskError> {
        if let Some(file) = self.cache.find(&code.digest) {
            code.file = file;
            return Ok(false);
        }
        code.file = self
            .cache
            .compile(&code.digest, &self.module.file(&code.digest)?)
            .await?;
        Ok(true)
    }
}

/// The streams of a worker; with a terminal, its master too.
fn streams(process: &Process) -> Result<(Stdio, Option<std::os::fd::OwnedFd>), TaskError> {
    if !process.streams.terminal {
        return Ok((Stdio::open(&process.streams)?, None));
    }
    let (master, slave) = open_terminal()?;
    let duplicate = || {
        slave
            .try_clone()
            .map_err(|source| crate::stdio::StdioError::Terminal { source })
    };
    let fds = [
        duplicate()?,
        duplicate()?,
        slave
            .try_clone()
            .map_err(|source| crate::stdio::StdioError::Terminal { source })?,
    ];
    Ok((
        Stdio {
            fds,
            held: Held::default(),
        },
        Some(master),
    ))
}
