//! The parts of the Task API that `ctr` has no word for, asked of the shim's own socket, and every installed containerd.

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use containerd_shim_protos::{
    api::{
        CheckpointTaskRequest, CloseIORequest, ConnectRequest, KillRequest, ResizePtyRequest, StateRequest,
        StatsRequest, Status, UpdateTaskRequest, WaitRequest,
    },
    bootstrap_api::{BootstrapParams, BootstrapResult},
    cgroups::metrics::Metrics,
    protobuf::{Message as _, MessageField, well_known_types::any::Any},
    ttrpc::{self, context},
};

use crate::node::{BUSYBOX, COMPONENT, HELLO, HTTP, SHIM, node, node_with, until, versions};

fn soon() -> context::Context {
    context::with_timeout(30_000_000_000)
}

fn code<T: std::fmt::Debug>(result: ttrpc::Result<T>) -> ttrpc::Code {
    match result.unwrap_err() {
        ttrpc::Error::RpcStatus(status) => status.code(),
        other => panic!("{other}"),
    }
}

#[test]
fn every_installed_containerd_runs_linux_and_wasm_containers() {
    for programs in versions() {
        let Some(node) = node_with(&programs, "allow_unsigned = true\n") else {
            return;
        };
        let version = node.version();
        let linux = node.run(&["--rm"], BUSYBOX, "c1", &["/bin/sh", "-c", "echo linux; exit 3"]);
        assert_eq!(
            (linux.code, linux.stdout.as_str()),
            (3, "linux\n"),
            "containerd {version}: {linux:?}"
        );
        for (image, id) in [(HELLO, "c2"), (COMPONENT, "c3")] {
            let done = node.run(&["--rm"], image, id, &[]);
            assert!(done.stdout.starts_with("hello from"), "containerd {version}: {done:?}");
        }
        node.start_detached(&[], HELLO, "c4", &["/app.wasm", "spin"]);
        let done = node.ctr(&["task", "exec", "--exec-id", "e", "c4", "true"]);
        assert_eq!(done.code, 0, "containerd {version}: {done:?}");
        node.remove("c4");
    }
}

#[test]
fn usage_has_processor_time_and_memory() {
    let Some(node) = node() else { return };
    node.start_detached(&[], HELLO, "c", &["/app.wasm", "spin"]);
    let client = node.task_client("c");
    let usage = || {
        let request = StatsRequest {
            id: "c".to_owned(),
            ..StatsRequest::default()
        };
        client.stats(soon(), &request).unwrap().stats.unwrap()
    };
    let any = usage();
    if any.type_url.ends_with("v1.Metrics") {
        until("processor time is counted", || {
            let metrics = Metrics::parse_from_bytes(&usage().value).unwrap();
            metrics.cpu.usage.total > 0 && metrics.memory.usage.usage > 0 && metrics.pids.current > 0
        });
    } else {
        assert!(any.type_url.ends_with("v2.Metrics"), "{any:?}");
    }
    node.remove("c");
}

#[test]
fn limits_are_changed_in_place() {
    let Some(node) = node() else { return };
    node.start_detached(&["--memory-limit", "134217728"], HELLO, "c", &["/app.wasm", "spin"]);
    let client = node.task_client("c");
    let request = |json: &str| UpdateTaskRequest {
        id: "c".to_owned(),
        resources: MessageField::some(Any {
            type_url: "types.containerd.io/opencontainers/runtime-spec/1/LinuxResources".to_owned(),
            value: json.as_bytes().to_vec(),
            ..Any::default()
        }),
        ..UpdateTaskRequest::default()
    };
    client
        .update(soon(), &request(r#"{"memory":{"limit":268435456}}"#))
        .unwrap();
    let v1 = format!("/sys/fs/cgroup/memory/{}/c/memory.limit_in_bytes", node.namespace);
    let v2 = format!("/sys/fs/cgroup/{}/c/memory.max", node.namespace);
    let limit = std::fs::read_to_string(v1)
        .or_else(|_| std::fs::read_to_string(v2))
        .unwrap();
    assert_eq!(limit.trim(), "268435456");
    assert_eq!(
        code(client.update(soon(), &request("not json"))),
        ttrpc::Code::INVALID_ARGUMENT
    );
    node.remove("c");
}

#[test]
fn what_is_not_there_is_said_so() {
    let Some(node) = node() else { return };
    node.start_detached(&[], HELLO, "c", &["/app.wasm", "spin"]);
    let client = node.task_client("c");
    let state = |id: &str, exec: &str| {
        let request = StateRequest {
            id: id.to_owned(),
            exec_id: exec.to_owned(),
            ..StateRequest::default()
        };
        client.state(soon(), &request)
    };
    assert_eq!(state("c", "").unwrap().status(), Status::RUNNING);
    assert_eq!(code(state("other", "")), ttrpc::Code::NOT_FOUND);
    assert_eq!(code(state("c", "none")), ttrpc::Code::NOT_FOUND);
    let connect = ConnectRequest {
        id: "c".to_owned(),
        ..ConnectRequest::default()
    };
    let connected = client.connect(soon(), &connect).unwrap();
    assert_eq!(connected.task_pid, node.pid("c"));
    let checkpoint = CheckpointTaskRequest {
        id: "c".to_owned(),
        ..CheckpointTaskRequest::default()
    };
    assert_eq!(code(client.checkpoint(soon(), &checkpoint)), ttrpc::Code::UNIMPLEMENTED);
    let resize = ResizePtyRequest {
        id: "c".to_owned(),
        width: 80,
        height: 25,
        ..ResizePtyRequest::default()
    };
    assert_eq!(code(client.resize_pty(soon(), &resize)), ttrpc::Code::UNIMPLEMENTED);
    let close = CloseIORequest {
        id: "c".to_owned(),
        stdin: true,
        ..CloseIORequest::default()
    };
    client.close_io(soon(), &close).unwrap();
    let kill = |signal| KillRequest {
        id: "c".to_owned(),
        signal,
        ..KillRequest::default()
    };
    assert!(client.kill(soon(), &kill(4000)).is_err());
    client.kill(soon(), &kill(9)).unwrap();
    let wait = WaitRequest {
        id: "c".to_owned(),
        ..WaitRequest::default()
    };
    assert_eq!(client.wait(soon(), &wait).unwrap().exit_status, 137);
    assert_eq!(code(client.kill(soon(), &kill(9))), ttrpc::Code::NOT_FOUND);
    node.remove("c");
}

#[test]
fn the_newer_bootstrap_is_answered_in_kind() {
    let Some(node) = node() else { return };
    let bundle = node.folder.path().join("bundle");
    std::fs::create_dir(&bundle).unwrap();
    std::fs::write(bundle.join("config.json"), "{}").unwrap();
    let sockets = node.folder.path().join("s");
    let params = BootstrapParams {
        instance_id: "x".to_owned(),
        namespace: node.namespace.clone(),
        socket_dir: Some(sockets.to_string_lossy().into_owned()),
        ..BootstrapParams::default()
    };
    let mut start = Command::new(SHIM)
        .args(["-namespace", &node.namespace, "-id", "x", "-address"])
        .arg(node.folder.path().join("c.sock"))
        .arg("start")
        .current_dir(&bundle)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    start
        .stdin
        .take()
        .unwrap()
        .write_all(&params.write_to_bytes().unwrap())
        .unwrap();
    let output = start.wait_with_output().unwrap();
    let result = BootstrapResult::parse_from_bytes(&output.stdout).unwrap();
    assert_eq!((result.version, result.protocol.as_str()), (3, "ttrpc"));
    assert!(
        result.address.starts_with(&format!("unix://{}", sockets.display())),
        "{result}"
    );
    let client = containerd_shim_protos::TaskClient::new(ttrpc::Client::connect(&result.address).unwrap());
    let state = StateRequest {
        id: "x".to_owned(),
        ..StateRequest::default()
    };
    assert_eq!(code(client.state(soon(), &state)), ttrpc::Code::NOT_FOUND);
    client.shutdown(soon(), &Default::default()).unwrap();
    until("the shim has ended", || {
        crate::leftovers::processes(node.folder.path()).is_empty()
    });
}

#[test]
fn what_runs_survives_a_killed_containerd() {
    let Some(mut node) = node() else { return };
    node.start_detached(&["--net-host", "--env", "PORT=0"], HTTP, "c", &[]);
    let pid = node.pid("c");
    node.kill_containerd();
    assert!(std::path::Path::new(&format!("/proc/{pid}")).exists());
    node.boot();
    until("the task is found again", || node.status("c") == "RUNNING");
    assert_eq!(node.pid("c"), pid);
    node.remove("c");
}
