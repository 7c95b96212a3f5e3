//! WebAssembly containers: what a user of `kubectl run` would expect, and what a guest must not get.

use std::{fs, io::Write as _, process::Stdio};

use crate::{
    archive::Image,
    leftovers,
    node::{BUSYBOX, COMPONENT, HELLO, node, until},
};

#[test]
fn a_module_gets_its_arguments_and_variables_and_nothing_else() {
    let Some(node) = node() else { return };
    let done = node.run(&["--rm"], HELLO, "c", &["/app.wasm", "one", "two"]).ok();
    assert_eq!(
        done.stdout,
        "hello from command_hello\narg one\narg two\nenv GREETING=hi\nenv PATH=/bin\n"
    );
}

#[test]
fn a_component_runs_too() {
    let Some(node) = node() else { return };
    let done = node.run(&["--rm"], COMPONENT, "c", &[]).ok();
    assert!(done.stdout.starts_with("hello from command_hello\n"), "{done:?}");
}

#[test]
fn exit_codes_are_exact_and_traps_are_told() {
    let Some(node) = node() else { return };
    assert_eq!(node.run(&["--rm"], HELLO, "c", &["/app.wasm", "exit", "42"]).code, 42);
    let trapped = node.run(&["--rm"], HELLO, "c", &["/app.wasm", "panic"]);
    assert_eq!(trapped.code, 134, "{trapped:?}");
    assert!(trapped.stderr.contains("as asked"), "{trapped:?}");
}

#[test]
fn standard_input_arrives_and_ends() {
    let Some(node) = node() else { return };
    let mut command = node.run_command(&["--rm"], HELLO, "c", &["/app.wasm", "echo"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"to the guest\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "to the guest\n");
}

#[test]
fn the_file_system_is_the_images_with_volumes_and_without_the_nodes() {
    let Some(node) = node() else { return };
    let read = |flags: &[&str], path: &str| {
        let flags: Vec<&str> = ["--rm"].iter().chain(flags).copied().collect();
        node.run(&flags, HELLO, "c", &["/app.wasm", "read", path])
    };
    assert_eq!(read(&[], "/data.txt").ok().stdout, "from the image\n");
    let volume = node.folder.path().join("volume");
    fs::create_dir(&volume).unwrap();
    fs::write(volume.join("secret"), "mounted\n").unwrap();
    std::os::unix::fs::symlink("/etc/passwd", volume.join("link")).unwrap();
    let mount = format!("type=bind,src={},dst=/vol,options=rbind:ro", volume.display());
    assert_eq!(read(&["--mount", &mount], "/vol/secret").ok().stdout, "mounted\n");
    for outside in [
        "/etc/passwd",
        "/vol/link",
        "/proc/self/maps",
        "/dev/null",
        "/../../etc/passwd",
    ] {
        let done = read(&["--mount", &mount], outside);
        assert_ne!(done.code, 0, "{outside} is there: {done:?}");
    }
}

#[test]
fn a_worker_has_no_privileges() {
    let Some(node) = node() else { return };
    node.start_detached(&[], HELLO, "c", &["/app.wasm", "spin"]);
    let status = fs::read_to_string(format!("/proc/{}/status", node.pid("c"))).unwrap();
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        line.split_whitespace().nth(1).unwrap_or_default().to_owned()
    };
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert_eq!(field(set), "0000000000000000", "{set}\n{status}");
    }
    assert_eq!(field("NoNewPrivs"), "1");
    assert_eq!(field("Seccomp"), "2");
    node.remove("c");
}

#[test]
fn a_guest_that_computes_is_ended_by_sigterm() {
    let Some(node) = node() else { return };
    node.start_detached(&[], HELLO, "c", &["/app.wasm", "spin"]);
    node.ctr(&["task", "kill", "-s", "SIGTERM", "c"]).ok();
    until("the guest is stopped", || node.status("c") == "STOPPED");
    node.ctr(&["task", "delete", "c"]).tells_exit(143);
    node.ctr(&["container", "delete", "c"]).ok();
}

#[test]
fn execs_are_modules_of_the_image_and_applets() {
    let Some(node) = node() else { return };
    node.start_detached(&[], HELLO, "c", &["/app.wasm", "spin"]);
    let exec = |id: &str, words: &[&str]| {
        let arguments: Vec<&str> = ["task", "exec", "--exec-id", id, "c"]
            .iter()
            .chain(words)
            .copied()
            .collect();
        node.ctr(&arguments)
    };
    let module = exec("e1", &["/other.wasm", "from", "exec"]).ok();
    assert!(module.stdout.contains("arg from\narg exec\n"), "{module:?}");
    assert_eq!(exec("e2", &["/other.wasm", "exit", "9"]).code, 9);
    assert_eq!(exec("e3", &["cat", "/data.txt"]).ok().stdout, "from the image\n");
    assert_eq!(exec("e4", &["false"]).code, 1);
    let listed = exec("e5", &["ls", "/"]).ok().stdout;
    assert!(listed.lines().any(|name| name == "app.wasm"), "{listed}");
    let missing = exec("e6", &["/bin/sh"]);
    assert_ne!(missing.code, 0);
    assert!(missing.stderr.contains("neither a WebAssembly module"), "{missing:?}");
    node.remove("c");
}

#[test]
fn a_guest_is_paused_and_goes_on() {
    let Some(node) = node() else { return };
    node.start_detached(&[], HELLO, "c", &["/app.wasm", "spin"]);
    node.ctr(&["task", "pause", "c"]).ok();
    assert_eq!(node.status("c"), "PAUSED");
    node.ctr(&["task", "resume", "c"]).ok();
    assert_eq!(node.status("c"), "RUNNING");
    node.remove("c");
}

#[test]
fn precompiled_code_is_refused_by_name() {
    let Some(node) = node() else { return };
    let name = "docker.io/test/precompiled:1";
    node.import(&Image {
        name,
        entrypoint: &["/app.cwasm"],
        files: vec![("app.cwasm", b"\x7fELF\x02\x01\x01 made elsewhere".to_vec())],
    });
    let done = node.run(&["--rm"], name, "c", &[]);
    assert_ne!(done.code, 0);
    assert!(done.stderr.contains("is not a WebAssembly binary"), "{done:?}");
}

#[test]
fn broken_modules_are_refused_at_create_and_leave_nothing() {
    let Some(node) = node() else { return };
    let name = "docker.io/test/broken:1";
    node.import(&Image {
        name,
        entrypoint: &["/app.wasm"],
        files: vec![("app.wasm", b"\0asm\x01\0\0\0\xff\xff\xff".to_vec())],
    });
    let done = node.run(&["--rm"], name, "c", &[]);
    assert_ne!(done.code, 0);
    assert!(done.stderr.contains("does not compile"), "{done:?}");
    until("the shim has ended", || {
        leftovers::processes(node.folder.path()).is_empty()
    });
    assert!(leftovers::cgroups(&node.namespace).is_empty());
    assert!(
        !leftovers::mounts(node.folder.path())
            .iter()
            .any(|point| point.contains("/rootfs"))
    );
}

#[test]
fn a_pod_is_one_shim_with_linux_and_wasm_containers() {
    let Some(node) = node() else { return };
    let pod = ["--annotation", "io.kubernetes.cri.sandbox-id=pod1"];
    node.start_detached(&pod, BUSYBOX, "sidecar", &["/bin/sleep", "1000"]);
    node.start_detached(&pod, HELLO, "guest", &["/app.wasm", "spin"]);
    assert_eq!(leftovers::processes(node.folder.path()).len(), 1, "one shim for both");
    node.remove("sidecar");
    assert_eq!(node.status("guest"), "RUNNING");
    node.remove("guest");
    until("the shim has ended", || {
        leftovers::processes(node.folder.path()).is_empty()
    });
}

#[test]
fn memory_beyond_the_limit_is_never_given() {
    let Some(node) = node() else { return };
    let limit = (64_u64 << 20).to_string();
    let done = node.run(&["--rm", "--memory-limit", &limit], HELLO, "c", &["/app.wasm", "grow"]);
    // Either the guest is told that there is no more, or the kernel takes the whole worker: never more than the limit.
    let refused = done
        .stdout
        .strip_prefix("refused after ")
        .and_then(|rest| rest.split(' ').next()?.parse::<u64>().ok());
    let within = done.code == 0 && refused.is_some_and(|mebibytes| mebibytes <= 64);
    assert!(within || done.code == 137, "{done:?}");
}
