//! [`Pod`]: all containers of one shim, and what happens to them over time: creation, ends of processes, removal.

mod ends;
mod rootfs;

pub(crate) use rootfs::remove_leftovers;

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use containerd_shim_protos::{
    api::CreateTaskRequest,
    events::task::{
        TaskCreate, TaskDelete, TaskExecAdded, TaskExecStarted, TaskIO, TaskOOM, TaskPaused, TaskResumed, TaskStart,
    },
    protobuf::{Message as _, MessageField},
    shim::oci::Options,
    topics,
};
use tokio::{sync::Notify, task::JoinSet};

use crate::{
    config::Config,
    container::{Container, Kind, Started},
    error::TaskError,
    events::Events,
    exit::Exit,
    linux::LinuxContainer,
    message::timestamp,
    process::Process,
    reaper::{Ending, Reaper},
    runc::Runc,
    spec::Spec,
    stdio::Streams,
    wasm::{self, Containerd, WasmContainer},
};

/// Longest id that is taken: it becomes part of file names.
const MAX_ID_BYTES: usize = 128;
/// An end that nobody could see: the shim itself goes down.
const UNKNOWN_EXIT: u32 = 255;

/// The containers of a pod.
#[derive(Debug)]
pub(crate) struct Pod {
    pub(crate) namespace: String,
    pub(crate) config: Config,
    pub(crate) containerd: Containerd,
    pub(crate) reaper: Arc<Reaper>,
    events: Events,
    containers: Mutex<HashMap<String, Arc<Container>>>,
    tasks: Mutex<JoinSet<()>>,
    /// Told when the shim is asked to end.
    pub(crate) shutdown: Notify,
}

impl Pod {
    pub(crate) fn new(
        namespace: &str,
        config: Config,
        containerd: Containerd,
        reaper: Arc<Reaper>,
        events: Events,
    ) -> Arc<Self> {
        Arc::new(Self {
            namespace: namespace.to_owned(),
            config,
            containerd,
            reaper,
            events,
            containers: Mutex::default(),
            tasks: Mutex::default(),
            shutdown: Notify::new(),
        })
    }

    pub(crate) fn container(&self, id: &str) -> Result<Arc<Container>, TaskError> {
        let found = self.containers().get(id).map(Arc::clone);
        found.ok_or_else(|| TaskError::NotFound {
            what: "container",
            id: id.to_owned(),
        })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.containers().is_empty()
    }

    /// Makes a container. What was mounted or made for it is gone again when it fails.
    pub(crate) async fn create(self: &Arc<Self>, request: &CreateTaskRequest) -> Result<u32, TaskError> {
        check_id(&request.id)?;
        if self.containers().contains_key(&request.id) {
            return Err(TaskError::Exists {
                what: "container",
                id: request.id.clone(),
            });
        }
        let bundle = PathBuf::from(&request.bundle);
        let spec = Spec::read(&bundle)?;
        let folder = spec.rootfs(&bundle);
        let made = match rootfs::mount_rootfs(request, &folder) {
            Ok(()) => self.make(request, &bundle, &spec).await,
            Err(error) => Err(error),
        };
        let (container, started) = match made {
            Ok(made) => made,
            Err(error) => {
                rootfs::unmount(&folder);
                return Err(error);
            }
        };
        let pid = {
            let mut state = container.lock().await;
            state.init.pid = Some(started.pid);
            if let Some(watch) = state.cgroup.watch_oom() {
                state.oom = Some(watch.kills());
                self.spawn(ends::tell_oom(Arc::clone(self), Arc::clone(&container), watch));
            }
            state.init.pid_number()
        };
        self.containers().insert(request.id.clone(), Arc::clone(&container));
        self.events.publish(
            topics::TASK_CREATE_EVENT_TOPIC,
            &TaskCreate {
                container_id: request.id.clone(),
                bundle: request.bundle.clone(),
                rootfs: request.rootfs.clone(),
                io: MessageField::some(TaskIO {
                    stdin: request.stdin.clone(),
                    stdout: request.stdout.clone(),
                    stderr: request.stderr.clone(),
                    terminal: request.terminal,
                    ..TaskIO::default()
                }),
                checkpoint: request.checkpoint.clone(),
                pid,
                ..TaskCreate::default()
            },
        );
        self.watch(container, String::new(), started.ending);
        Ok(pid)
    }

    async fn make(
        &self,
        request: &CreateTaskRequest,
        bundle: &Path,
        spec: &Spec,
    ) -> Result<(Arc<Container>, Started), TaskError> {
        let streams = Streams {
            stdin: request.stdin.clone(),
            stdout: request.stdout.clone(),
            stderr: request.stderr.clone(),
            terminal: request.terminal,
        };
        let mut process = Process::new(&request.id, streams);
        let id = request.id.as_str();
        let module = wasm::find_module(self, id, bundle, spec).await?;
        let (kind, started, cgroup) = match module {
            Some(module) => {
                let (wasm, started, cgroup) =
                    WasmContainer::create(self, id, bundle, spec, module, &mut process).await?;
                (Kind::Wasm(wasm), started, cgroup)
            }
            None => {
                let linux = self.linux(request)?;
                linux.runc.save(bundle).map_err(|source| TaskError::Bundle {
                    id: id.to_owned(),
                    source,
                })?;
                match linux.create(bundle, &mut process).await {
                    Ok((started, cgroup)) => (Kind::Linux(linux), started, cgroup),
                    Err(error) => {
                        // A container may be there although its creation failed.
                        let _ = linux.delete(bundle).await;
                        return Err(error);
                    }
                }
            }
        };
        let container = Container::new(id, bundle.to_owned(), kind, process, cgroup);
        Ok((container, started))
    }

    fn linux(&self, request: &CreateTaskRequest) -> Result<LinuxContainer, TaskError> {
        let mut options = Options::new();
        if let Some(any) = request.options.as_ref()
            && any.type_url.ends_with("containerd.runc.v1.Options")
        {
            options = Options::parse_from_bytes(&any.value).map_err(|error| TaskError::Message {
                what: "runtime options",
                source: error.into(),
            })?;
        }
        let root = if options.root.is_empty() {
            self.config.runtime_root.clone()
        } else {
            PathBuf::from(&options.root)
        };
        let program = if options.binary_name.is_empty() {
            self.config.runtime.clone()
        } else {
            options.binary_name.clone()
        };
        Ok(LinuxContainer {
            id: request.id.clone(),
            no_pivot_root: options.no_pivot_root,
            runc: Runc {
                program,
                root: root.join(&self.namespace),
                systemd_cgroup: options.systemd_cgroup || self.config.systemd_cgroup,
                reaper: Arc::clone(&self.reaper),
            },
        })
    }

    /// Starts the first process of a container, or an exec that was registered.
    pub(crate) async fn start(self: &Arc<Self>, id: &str, exec: &str) -> Result<u32, TaskError> {
        let container = self.container(id)?;
        let mut state = container.lock().await;
        if exec.is_empty() {
            let pid = state.start(&container).await?;
            self.events.publish(
                topics::TASK_START_EVENT_TOPIC,
                &TaskStart {
                    container_id: id.to_owned(),
                    pid,
                    ..TaskStart::default()
                },
            );
            return Ok(pid);
        }
        let ending = state.start_exec(&container, exec).await?;
        let pid = state.process(exec)?.pid_number();
        self.events.publish(
            topics::TASK_EXEC_STARTED_EVENT_TOPIC,
            &TaskExecStarted {
                container_id: id.to_owned(),
                exec_id: exec.to_owned(),
                pid,
                ..TaskExecStarted::default()
            },
        );
        drop(state);
        self.watch(container, exec.to_owned(), ending);
        Ok(pid)
    }

    /// Stops or continues a container.
    pub(crate) async fn pause(&self, id: &str, paused: bool) -> Result<(), TaskError> {
        let container = self.container(id)?;
        let mut state = container.lock().await;
        state.pause(paused).await?;
        let id = id.to_owned();
        if paused {
            let event = TaskPaused {
                container_id: id,
                ..TaskPaused::default()
            };
            self.events.publish(topics::TASK_PAUSED_EVENT_TOPIC, &event);
        } else {
            let event = TaskResumed {
                container_id: id,
                ..TaskResumed::default()
            };
            self.events.publish(topics::TASK_RESUMED_EVENT_TOPIC, &event);
        }
        Ok(())
    }

    /// Tells containerd that an exec is registered.
    pub(crate) fn exec_added(&self, id: &str, exec: &str) {
        self.events.publish(
            topics::TASK_EXEC_ADDED_EVENT_TOPIC,
            &TaskExecAdded {
                container_id: id.to_owned(),
                exec_id: exec.to_owned(),
                ..TaskExecAdded::default()
            },
        );
    }

    /// Forgets a process that has ended; with the first one, the container and all that was made for it.
    pub(crate) async fn delete(&self, id: &str, exec: &str) -> Result<(u32, Exit), TaskError> {
        let container = self.container(id)?;
        let mut state = container.lock().await;
        if exec.is_empty() && state.init.is_alive() && !state.init.started {
            // Made and never started: its first process waits, and is ended.
            state.cgroup.kill();
            let mut exit = state.init.subscribe();
            drop(state);
            // Its sender is in the container, which is held here.
            let _ = exit.wait_for(Option::is_some).await;
            state = container.lock().await;
        }
        let process = state.process(exec)?;
        let pid = process.pid_number();
        // An exec that never ran has no end of its own.
        let exit = match (process.exit(), process.pid) {
            (Some(exit), _) => exit,
            (None, None) => Exit::now(UNKNOWN_EXIT),
            (None, Some(_)) => {
                return Err(TaskError::WrongState {
                    operation: "delete",
                    id: process.id.clone(),
                    state: process.state(),
                });
            }
        };
        if !exec.is_empty() {
            state.execs.remove(exec);
            state.planned.remove(exec);
            return Ok((pid, exit));
        }
        state.cgroup.kill();
        match &state.kind {
            Kind::Linux(linux) => linux.delete(&container.bundle).await?,
            Kind::Wasm(_) => state.cgroup.remove().await,
        }
        rootfs::unmount(&container.bundle.join("rootfs"));
        self.containers().remove(id);
        self.events.publish(
            topics::TASK_DELETE_EVENT_TOPIC,
            &TaskDelete {
                container_id: id.to_owned(),
                id: id.to_owned(),
                pid,
                exit_status: exit.code,
                exited_at: MessageField::some(timestamp(exit.at)),
                ..TaskDelete::default()
            },
        );
        Ok((pid, exit))
    }

    /// Kills what still runs: the shim goes down.
    pub(crate) async fn kill_all(&self) {
        let left: Vec<_> = self.containers().values().map(Arc::clone).collect();
        for container in left {
            container.lock().await.cgroup.kill();
        }
    }

    /// Ends what the pod still does in the background.
    pub(crate) async fn finish(&self) {
        let mut tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        tasks.shutdown().await;
    }

    fn tell_oom(&self, id: &str) {
        self.events.publish(
            topics::TASK_OOM_EVENT_TOPIC,
            &TaskOOM {
                container_id: id.to_owned(),
                ..TaskOOM::default()
            },
        );
    }

    fn watch(self: &Arc<Self>, container: Arc<Container>, exec: String, ending: Ending) {
        self.spawn(ends::tell_exit(Arc::clone(self), container, exec, ending));
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }

    fn containers(&self) -> MutexGuard<'_, HashMap<String, Arc<Container>>> {
        self.containers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) fn check_id(id: &str) -> Result<(), TaskError> {
    let plain = id
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    if plain && !id.is_empty() && id.len() <= MAX_ID_BYTES && !id.starts_with('.') {
        Ok(())
    } else {
        Err(TaskError::BadId { id: id.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_that_would_be_paths_are_refused() {
        for good in ["a", "0a1b", "my-pod_1.x"] {
            assert!(check_id(good).is_ok(), "{good}");
        }
        for bad in ["", "..", ".x", "a/b", "a\0b", "a b", &"x".repeat(200)] {
            assert!(check_id(bad).is_err(), "{bad}");
        }
    }
}
