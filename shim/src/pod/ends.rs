//! What happens to a container by itself: its processes end, or the kernel kills one for want of memory. Both are told to
//! containerd, a kill before the end that it causes.

use std::sync::Arc;

use containerd_shim_protos::{events::task::TaskExit, protobuf::MessageField, topics};

use super::{Pod, UNKNOWN_EXIT};
use crate::{cgroup::OomWatch, container::Container, exit::Exit, message::timestamp, reaper::Ending};

/// Waits for the end of a process, and tells everybody once its output is through.
pub(super) async fn tell_exit(pod: Arc<Pod>, container: Arc<Container>, exec: String, ending: Ending) {
    let exit = ending.await.unwrap_or_else(|_| Exit::now(UNKNOWN_EXIT));
    let console = {
        let mut state = container.lock().await;
        state.process(&exec).ok().and_then(|process| process.console.take())
    };
    if let Some(console) = console {
        console.finish().await;
    }
    // Under the lock: whoever starts the process has told of it by then.
    let mut state = container.lock().await;
    let Ok(process) = state.process(&exec) else { return };
    let pid = process.pid_number();
    process.set_exit(exit);
    // Told before the exit, so that whoever asks for the reason of the exit knows it.
    if state.oom.as_ref().is_some_and(|kills| kills.happened()) {
        pod.tell_oom(&container.id);
    }
    let id = if exec.is_empty() { container.id.clone() } else { exec };
    pod.events.publish(
        topics::TASK_EXIT_EVENT_TOPIC,
        &TaskExit {
            container_id: container.id.clone(),
            id,
            pid,
            exit_status: exit.code,
            exited_at: MessageField::some(timestamp(exit.at)),
            ..TaskExit::default()
        },
    );
}

/// Tells of kills for want of memory that the container survives.
pub(super) async fn tell_oom(pod: Arc<Pod>, container: Arc<Container>, mut watch: OomWatch) {
    let mut exit = container.lock().await.init.subscribe();
    loop {
        tokio::select! {
            killed = watch.next() => {
                if !killed {
                    return;
                }
                pod.tell_oom(&container.id);
            }
            _ = exit.wait_for(Option::is_some) => return,
        }
    }
}
