//! [`Container`]: a container of the pod and everything that can be asked of it. What differs between Linux and WebAssembly
//! containers is behind [`Kind`]; signals, streams, control group and states are the same.

use std::{
    collections::{BTreeMap, HashMap},
    path::PathBuf,
    sync::Arc,
};

use containerd_shim_protos::{
    api::{ProcessInfo, Status},
    protobuf::{Message as _, MessageField, well_known_types::any::Any},
    shim::oci::ProcessDetails,
};
use rustix::process::Pid;
use tokio::sync::{Mutex, MutexGuard};

use crate::{
    cgroup::{Cgroup, OomKills},
    error::TaskError,
    linux::LinuxContainer,
    process::Process,
    reaper::Ending,
    spec::Resources,
    stdio::Streams,
    wasm::WasmContainer,
};

const SIGKILL: u32 = 9;

/// One container.
#[derive(Debug)]
pub(crate) struct Container {
    pub(crate) id: String,
    pub(crate) bundle: PathBuf,
    state: Mutex<State>,
}

/// What changes.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) kind: Kind,
    pub(crate) init: Process,
    pub(crate) execs: HashMap<String, Process>,
    /// What execs are to run, until they are started.
    pub(crate) planned: HashMap<String, Any>,
    pub(crate) cgroup: Cgroup,
    pub(crate) paused: bool,
    /// Counts kills for want of memory, where the kernel does.
    pub(crate) oom: Option<Arc<OomKills>>,
}

/// What runs the container.
#[derive(Debug)]
pub(crate) enum Kind {
    Linux(LinuxContainer),
    Wasm(WasmContainer),
}

/// A process that was just started, and its coming end.
#[derive(Debug)]
pub(crate) struct Started {
    pub(crate) pid: Pid,
    pub(crate) ending: Ending,
}

impl Container {
    pub(crate) fn new(id: &str, bundle: PathBuf, kind: Kind, init: Process, cgroup: Cgroup) -> Arc<Self> {
        Arc::new(Self {
            id: id.to_owned(),
            bundle,
            state: Mutex::new(State {
                kind,
                init,
                execs: HashMap::new(),
                planned: HashMap::new(),
                cgroup,
                paused: false,
                oom: None,
            }),
        })
    }

    pub(crate) async fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().await
    }
}

impl State {
    /// The first process, or the exec of that id.
    pub(crate) fn process(&mut self, exec: &str) -> Result<&mut Process, TaskError> {
        if exec.is_empty() {
            return Ok(&mut self.init);
        }
        self.execs.get_mut(exec).ok_or_else(|| TaskError::NotFound {
            what: "process",
            id: exec.to_owned(),
        })
    }

    /// Lets the first process go.
    pub(crate) async fn start(&mut self, container: &Container) -> Result<u32, TaskError> {
        if self.init.started || self.init.exit().is_some() {
            return Err(self.wrong_state("start"));
        }
        match &mut self.kind {
            Kind::Linux(linux) => linux.start(container).await?,
            Kind::Wasm(wasm) => wasm.start().await?,
        }
        self.init.started = true;
        Ok(self.init.pid_number())
    }

    /// Registers a further process.
    pub(crate) fn plan(&mut self, exec: &str, streams: Streams, spec: Any) -> Result<(), TaskError> {
        if self.execs.contains_key(exec) {
            return Err(TaskError::Exists {
                what: "process",
                id: exec.to_owned(),
            });
        }
        if !self.init.is_alive() {
            return Err(self.wrong_state("exec in"));
        }
        self.execs.insert(exec.to_owned(), Process::new(exec, streams));
        self.planned.insert(exec.to_owned(), spec);
        Ok(())
    }

    /// Starts a process that was registered.
    pub(crate) async fn start_exec(&mut self, container: &Container, exec: &str) -> Result<Ending, TaskError> {
        let process = self.execs.get_mut(exec).ok_or_else(|| TaskError::NotFound {
            what: "process",
            id: exec.to_owned(),
        })?;
        let spec = self.planned.remove(exec).ok_or_else(|| TaskError::WrongState {
            operation: "start",
            id: exec.to_owned(),
            state: process.state(),
        })?;
        let started = match &mut self.kind {
            Kind::Linux(linux) => linux.exec(container, process, &spec).await?,
            Kind::Wasm(wasm) => {
                wasm.exec(container, process, &spec, &self.cgroup, self.init.pid)
                    .await?
            }
        };
        process.pid = Some(started.pid);
        process.started = true;
        Ok(started.ending)
    }

    /// Sends a signal to one process or to all.
    pub(crate) async fn kill(&mut self, exec: &str, signal: u32, all: bool) -> Result<(), TaskError> {
        let frozen = self.paused && signal == SIGKILL;
        if all {
            // The first process is signalled even where the group cannot be read.
            let alive = self.init.signal(signal);
            let first = self.init.pid_number();
            let others = self.cgroup.processes().into_iter().filter(|&pid| pid != first);
            for pid in others.filter_map(|pid| Pid::from_raw(i32::try_from(pid).ok()?)) {
                // One that ended meanwhile needs no signal.
                let _ = crate::sys::kill(pid, i32::try_from(signal).unwrap_or(0));
            }
            alive?;
        } else {
            self.process(exec)?.signal(signal)?;
        }
        if frozen {
            // A frozen process does not die.
            self.cgroup.freeze(false).await?;
            self.paused = false;
        }
        Ok(())
    }

    /// Stops or continues all processes.
    pub(crate) async fn pause(&mut self, paused: bool) -> Result<(), TaskError> {
        if !self.init.started || !self.init.is_alive() || self.paused == paused {
            return Err(self.wrong_state(if paused { "pause" } else { "resume" }));
        }
        self.cgroup.freeze(paused).await?;
        self.paused = paused;
        Ok(())
    }

    pub(crate) fn update(&self, resources: &Resources) -> Result<(), TaskError> {
        Ok(self.cgroup.limit(resources)?)
    }

    /// The status of the container: that of its first process, unless it is paused.
    pub(crate) fn status(&self) -> Status {
        match self.init.status() {
            Status::RUNNING if self.paused => Status::PAUSED,
            status => status,
        }
    }

    /// All processes, with the ids of those that exec started.
    pub(crate) fn processes(&self) -> Vec<ProcessInfo> {
        let mut pids: BTreeMap<u32, Option<&str>> =
            self.cgroup.processes().into_iter().map(|pid| (pid, None)).collect();
        let alive = self.execs.values().filter(|process| process.is_alive());
        pids.extend(alive.map(|process| (process.pid_number(), Some(process.id.as_str()))));
        pids.into_iter()
            .map(|(pid, exec)| ProcessInfo {
                pid,
                info: exec.map_or_else(MessageField::none, |exec| MessageField::some(details(exec))),
                ..ProcessInfo::default()
            })
            .collect()
    }

    fn wrong_state(&self, operation: &'static str) -> TaskError {
        TaskError::WrongState {
            operation,
            id: self.init.id.clone(),
            state: if self.paused { "paused" } else { self.init.state() },
        }
    }
}

fn details(exec: &str) -> Any {
    let details = ProcessDetails {
        exec_id: exec.to_owned(),
        ..ProcessDetails::default()
    };
    Any {
        type_url: "containerd.runc.v1.ProcessDetails".to_owned(),
        // Writing to memory fails for messages over 2 GiB only.
        value: details.write_to_bytes().unwrap_or_default(),
        ..Any::default()
    }
}
