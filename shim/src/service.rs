//! [`TaskService`]: containerd's Task API over a [`Pod`]. Messages in, messages out; nothing is decided here.

use std::sync::Arc;

use async_trait::async_trait;
use containerd_shim_protos::{
    api::{
        CheckpointTaskRequest, CloseIORequest, ConnectRequest, ConnectResponse, CreateTaskRequest, CreateTaskResponse,
        DeleteRequest, DeleteResponse, Empty, ExecProcessRequest, KillRequest, PauseRequest, PidsRequest, PidsResponse,
        ResizePtyRequest, ResumeRequest, ShutdownRequest, StartRequest, StartResponse, StateRequest, StateResponse,
        StatsRequest, StatsResponse, UpdateTaskRequest, WaitRequest, WaitResponse,
    },
    protobuf::MessageField,
    shim_async::Task,
};
use ttrpc::r#async::TtrpcContext;

use crate::{error::TaskError, message::timestamp, pod::Pod, spec::Resources, stdio::Streams};

type Reply<T> = ttrpc::Result<T>;

/// The service of one shim.
#[derive(Debug)]
pub(crate) struct TaskService {
    pod: Arc<Pod>,
}

impl TaskService {
    pub(crate) fn new(pod: Arc<Pod>) -> Self {
        Self { pod }
    }
}

/// Refusals are containerd's to show; the log has them for those who look there.
fn reply<T>(operation: &'static str, id: &str, result: Result<T, TaskError>) -> Reply<T> {
    result.map_err(|error| {
        tracing::info!(operation, id, error = crate::error::chain(&error), "refused");
        error.into()
    })
}

#[async_trait]
impl Task for TaskService {
    async fn state(&self, _: &TtrpcContext, request: StateRequest) -> Reply<StateResponse> {
        let get = async {
            let container = self.pod.container(&request.id)?;
            let mut state = container.lock().await;
            let whole = state.status();
            let mut response = state.process(&request.exec_id)?.describe();
            if request.exec_id.is_empty() {
                response.status = whole.into();
            }
            response.id.clone_from(&request.id);
            response.exec_id.clone_from(&request.exec_id);
            response.bundle = container.bundle.to_string_lossy().into_owned();
            Ok(response)
        };
        // containerd asks for tasks that are gone as a matter of course.
        get.await.map_err(TaskError::into)
    }

    async fn create(&self, _: &TtrpcContext, request: CreateTaskRequest) -> Reply<CreateTaskResponse> {
        let pid = if request.checkpoint.is_empty() {
            self.pod.create(&request).await
        } else {
            Err(TaskError::Unsupported {
                what: "restoring a checkpoint".to_owned(),
            })
        };
        let pid = reply("create", &request.id, pid)?;
        Ok(CreateTaskResponse {
            pid,
            ..CreateTaskResponse::default()
        })
    }

    async fn start(&self, _: &TtrpcContext, request: StartRequest) -> Reply<StartResponse> {
        let pid = reply(
            "start",
            &request.id,
            self.pod.start(&request.id, &request.exec_id).await,
        )?;
        Ok(StartResponse {
            pid,
            ..StartResponse::default()
        })
    }

    async fn delete(&self, _: &TtrpcContext, request: DeleteRequest) -> Reply<DeleteResponse> {
        let deleted = self.pod.delete(&request.id, &request.exec_id).await;
        let (pid, exit) = reply("delete", &request.id, deleted)?;
        Ok(DeleteResponse {
            pid,
            exit_status: exit.code,
            exited_at: MessageField::some(timestamp(exit.at)),
            ..DeleteResponse::default()
        })
    }

    async fn pids(&self, _: &TtrpcContext, request: PidsRequest) -> Reply<PidsResponse> {
        let get = async { Ok(self.pod.container(&request.id)?.lock().await.processes()) };
        Ok(PidsResponse {
            processes: reply("pids", &request.id, get.await)?,
            ..PidsResponse::default()
        })
    }

    async fn pause(&self, _: &TtrpcContext, request: PauseRequest) -> Reply<Empty> {
        reply("pause", &request.id, self.pod.pause(&request.id, true).await).map(|()| Empty::new())
    }

    async fn resume(&self, _: &TtrpcContext, request: ResumeRequest) -> Reply<Empty> {
        reply("resume", &request.id, self.pod.pause(&request.id, false).await).map(|()| Empty::new())
    }

    async fn checkpoint(&self, _: &TtrpcContext, request: CheckpointTaskRequest) -> Reply<Empty> {
        let refusal = TaskError::Unsupported {
            what: "checkpointing".to_owned(),
        };
        reply("checkpoint", &request.id, Err(refusal))
    }

    async fn kill(&self, _: &TtrpcContext, request: KillRequest) -> Reply<Empty> {
        let kill = async {
            let container = self.pod.container(&request.id)?;
            let mut state = container.lock().await;
            state.kill(&request.exec_id, request.signal, request.all).await
        };
        reply("kill", &request.id, kill.await).map(|()| Empty::new())
    }

    async fn exec(&self, _: &TtrpcContext, request: ExecProcessRequest) -> Reply<Empty> {
        let plan = async {
            crate::pod::check_id(&request.exec_id)?;
            let container = self.pod.container(&request.id)?;
            let streams = Streams {
                stdin: request.stdin.clone(),
                stdout: request.stdout.clone(),
                stderr: request.stderr.clone(),
                terminal: request.terminal,
            };
            let spec = request.spec.clone().unwrap_or_default();
            container.lock().await.plan(&request.exec_id, streams, spec)
        };
        reply("exec", &request.id, plan.await)?;
        self.pod.exec_added(&request.id, &request.exec_id);
        Ok(Empty::new())
    }

    async fn resize_pty(&self, _: &TtrpcContext, request: ResizePtyRequest) -> Reply<Empty> {
        let resize = async {
            let container = self.pod.container(&request.id)?;
            let mut state = container.lock().await;
            let process = state.process(&request.exec_id)?;
            match &process.console {
                Some(console) => Ok(console.resize(request.width, request.height)?),
                // The process has just ended, or is an exec that has not started.
                None if process.streams.terminal => Ok(()),
                None => Err(TaskError::Unsupported {
                    what: "resizing a process without a terminal".to_owned(),
                }),
            }
        };
        reply("resize", &request.id, resize.await).map(|()| Empty::new())
    }

    async fn close_io(&self, _: &TtrpcContext, request: CloseIORequest) -> Reply<Empty> {
        let close = async {
            let container = self.pod.container(&request.id)?;
            let mut state = container.lock().await;
            let process = state.process(&request.exec_id)?;
            if request.stdin {
                process.held.close_stdin();
                if let Some(console) = &mut process.console {
                    console.close_stdin();
                }
            }
            Ok(())
        };
        reply("close streams of", &request.id, close.await).map(|()| Empty::new())
    }

    async fn update(&self, _: &TtrpcContext, request: UpdateTaskRequest) -> Reply<Empty> {
        let update = async {
            let container = self.pod.container(&request.id)?;
            let bytes = request.resources.as_ref().map(|any| any.value.as_slice());
            let resources: Resources =
                serde_json::from_slice(bytes.unwrap_or(b"{}")).map_err(|error| TaskError::Message {
                    what: "resources",
                    source: error.into(),
                })?;
            let state = container.lock().await;
            state.update(&resources)
        };
        reply("update", &request.id, update.await).map(|()| Empty::new())
    }

    async fn wait(&self, _: &TtrpcContext, request: WaitRequest) -> Reply<WaitResponse> {
        let subscribe = async {
            let container = self.pod.container(&request.id)?;
            let mut state = container.lock().await;
            Ok(state.process(&request.exec_id)?.subscribe())
        };
        let mut exit = reply("wait for", &request.id, subscribe.await)?;
        let exit = exit.wait_for(Option::is_some).await.map(|exit| *exit).ok().flatten();
        let exit = exit.ok_or_else(|| TaskError::NotFound {
            what: "process",
            id: request.id.clone(),
        })?;
        Ok(WaitResponse {
            exit_status: exit.code,
            exited_at: MessageField::some(timestamp(exit.at)),
            ..WaitResponse::default()
        })
    }

    async fn stats(&self, _: &TtrpcContext, request: StatsRequest) -> Reply<StatsResponse> {
        let get = async { Ok(self.pod.container(&request.id)?.lock().await.cgroup.stats()) };
        Ok(StatsResponse {
            stats: MessageField::some(reply("stats", &request.id, get.await)?),
            ..StatsResponse::default()
        })
    }

    async fn connect(&self, _: &TtrpcContext, request: ConnectRequest) -> Reply<ConnectResponse> {
        let get = async { Ok(self.pod.container(&request.id)?.lock().await.init.pid_number()) };
        Ok(ConnectResponse {
            shim_pid: std::process::id(),
            task_pid: reply("connect to", &request.id, get.await)?,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ..ConnectResponse::default()
        })
    }

    async fn shutdown(&self, _: &TtrpcContext, request: ShutdownRequest) -> Reply<Empty> {
        // containerd asks after each container; the shim stays for those that are left.
        if request.now || self.pod.is_empty() {
            self.pod.shutdown.notify_one();
        }
        Ok(Empty::new())
    }
}
