//! Many containers, and killed shims: nothing is left, nothing grows.

use std::path::PathBuf;

use rustix::process::{Pid, Signal, kill_process};

use crate::{
    leftovers,
    node::{BUSYBOX, HELLO, node, until},
};

/// Enough that one descriptor, mount or process per container shows.
const CYCLES: usize = 100;

fn nothing_is_left(node: &crate::node::Node) {
    until("the shims have ended", || {
        leftovers::processes(node.folder.path()).is_empty()
    });
    until("the control groups are gone", || {
        leftovers::cgroups(&node.namespace).is_empty()
    });
    let mounts = leftovers::mounts(node.folder.path());
    assert!(!mounts.iter().any(|point| point.contains("/rootfs")), "{mounts:?}");
}

#[test]
fn cycles_of_containers_leave_nothing() {
    let Some(node) = node() else { return };
    for number in 0..CYCLES {
        let id = format!("c{number}");
        let done = if number % 4 == 0 {
            node.run(&["--rm"], BUSYBOX, &id, &["/bin/true"])
        } else {
            node.run(&["--rm"], HELLO, &id, &["/app.wasm", "exit", "0"])
        };
        assert_eq!(done.code, 0, "{number}: {done:?}");
    }
    nothing_is_left(&node);
}

#[test]
fn a_shim_that_lives_on_does_not_grow() {
    let Some(node) = node() else { return };
    let pod = ["--annotation", "io.kubernetes.cri.sandbox-id=pod"];
    node.start_detached(&pod, HELLO, "stays", &["/app.wasm", "spin"]);
    let [shim] = leftovers::processes(node.folder.path())[..] else {
        panic!("one shim")
    };
    let cycle = |number: usize| {
        let id = format!("c{number}");
        let flags = ["--rm", pod[0], pod[1]];
        node.run(&flags, HELLO, &id, &["/app.wasm", "exit", "0"]).ok();
        let exec = format!("e{number}");
        node.ctr(&["task", "exec", "--exec-id", &exec, "stays", "true"]).ok();
    };
    // The first ones open what stays open.
    (0..3).for_each(cycle);
    let before = leftovers::descriptors(shim);
    (3..23).for_each(cycle);
    let after = leftovers::descriptors(shim);
    assert!(after <= before + 2, "{before} descriptors became {after}");
    node.remove("stays");
    nothing_is_left(&node);
}

#[test]
fn a_killed_shim_takes_its_containers_with_it() {
    let Some(node) = node() else { return };
    node.start_detached(&[], HELLO, "wasm", &["/app.wasm", "spin"]);
    node.start_detached(&[], BUSYBOX, "linux", &["/bin/sleep", "1000"]);
    let workers = [node.pid("wasm"), node.pid("linux")];
    for shim in leftovers::processes(node.folder.path()) {
        let pid = Pid::from_raw(i32::try_from(shim).unwrap()).unwrap();
        kill_process(pid, Signal::KILL).unwrap();
    }
    let gone = |pid: u32| !PathBuf::from(format!("/proc/{pid}")).exists();
    until("the containers are gone", || workers.iter().all(|&pid| gone(pid)));
    until("containerd knows", || {
        node.status("wasm") != "RUNNING" && node.status("linux") != "RUNNING"
    });
    for id in ["wasm", "linux"] {
        node.ctr(&["task", "delete", id]);
        node.ctr(&["container", "delete", id]).ok();
    }
    nothing_is_left(&node);
}

#[test]
fn a_killed_worker_is_an_exit_like_any_other() {
    let Some(node) = node() else { return };
    node.start_detached(&[], HELLO, "c", &["/app.wasm", "spin"]);
    let pid = Pid::from_raw(i32::try_from(node.pid("c")).unwrap()).unwrap();
    kill_process(pid, Signal::KILL).unwrap();
    until("the end is seen", || node.status("c") == "STOPPED");
    node.ctr(&["task", "delete", "c"]).tells_exit(137);
    node.ctr(&["container", "delete", "c"]).ok();
    nothing_is_left(&node);
}
