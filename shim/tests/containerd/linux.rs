//! Linux containers (pause, sidecars) run as under any other runtime.

use std::{io::Write as _, process::Stdio};

use crate::{
    leftovers,
    node::{BUSYBOX, node, run, until},
};

#[test]
fn output_and_exit_code_are_those_of_the_program() {
    let Some(node) = node() else { return };
    let done = node.run(
        &["--rm"],
        BUSYBOX,
        "c",
        &["/bin/sh", "-c", "echo out; echo err >&2; exit 7"],
    );
    assert_eq!(
        (done.code, done.stdout.as_str(), done.stderr.as_str()),
        (7, "out\n", "err\n")
    );
}

#[test]
fn standard_input_arrives_and_ends() {
    let Some(node) = node() else { return };
    let mut command = node.run_command(&["--rm"], BUSYBOX, "c", &["/bin/cat"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"line\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "line\n");
}

#[test]
fn a_terminal_is_one() {
    let Some(node) = node() else { return };
    // ctr wants a terminal of its own for this.
    let inner = node.run_command(&["--rm", "--tty"], BUSYBOX, "c", &["/bin/sh", "-c", "tty; stty size"]);
    let words: Vec<String> = std::iter::once(inner.get_program())
        .chain(inner.get_args())
        .map(|word| format!("'{}'", word.to_string_lossy()))
        .collect();
    let mut script = std::process::Command::new("script");
    script
        .args(["-qec", &words.join(" "), "/dev/null"])
        .stdin(Stdio::null());
    let done = run(&mut script).ok();
    assert!(done.stdout.contains("/dev/pts/"), "{done:?}");
}

#[test]
fn a_task_is_executed_in_paused_resumed_killed_and_gone() {
    let Some(node) = node() else { return };
    node.start_detached(&[], BUSYBOX, "c", &["/bin/sleep", "1000"]);
    assert_eq!(node.status("c"), "RUNNING");
    let done = node.ctr(&[
        "task",
        "exec",
        "--exec-id",
        "e1",
        "c",
        "/bin/sh",
        "-c",
        "echo inside; exit 5",
    ]);
    assert_eq!((done.code, done.stdout.as_str()), (5, "inside\n"));
    let processes = node.ctr(&["task", "ps", "c"]).ok().stdout;
    assert!(processes.contains(&node.pid("c").to_string()), "{processes}");
    node.ctr(&["task", "pause", "c"]).ok();
    assert_eq!(node.status("c"), "PAUSED");
    node.ctr(&["task", "resume", "c"]).ok();
    assert_eq!(node.status("c"), "RUNNING");
    let metrics = node.ctr(&["task", "metrics", "c"]).ok().stdout;
    assert!(metrics.contains("memory"), "{metrics}");
    node.ctr(&["task", "kill", "-s", "SIGKILL", "c"]).ok();
    until("the task is stopped", || node.status("c") == "STOPPED");
    node.ctr(&["task", "delete", "c"]).tells_exit(137);
    node.ctr(&["container", "delete", "c"]).ok();
    until("the shim has ended", || {
        leftovers::processes(node.folder.path()).is_empty()
    });
    assert_eq!(leftovers::cgroups(&node.namespace), Vec::<std::path::PathBuf>::new());
    assert!(
        !leftovers::mounts(node.folder.path())
            .iter()
            .any(|point| point.contains("/rootfs"))
    );
}

#[test]
fn a_program_that_is_not_there_is_a_clear_error() {
    let Some(node) = node() else { return };
    let done = node.run(&["--rm"], BUSYBOX, "c", &["/bin/nonsense"]);
    assert_ne!(done.code, 0);
    assert!(done.stderr.contains("nonsense"), "{done:?}");
    until("the shim has ended", || {
        leftovers::processes(node.folder.path()).is_empty()
    });
}

#[test]
fn a_kill_for_want_of_memory_is_told_before_the_exit() {
    let Some(node) = node() else { return };
    let limit = (16_u64 << 20).to_string();
    let done = node.run(
        &["--rm", "--memory-limit", &limit],
        BUSYBOX,
        "c",
        &["/bin/tail", "/dev/zero"],
    );
    assert_eq!(done.code, 137, "{done:?}");
    let log = node.log();
    let (oom, exit) = (log.find("topic=/tasks/oom"), log.find("topic=/tasks/exit"));
    assert!(oom.is_some() && oom < exit, "oom at {oom:?}, exit at {exit:?}");
}
