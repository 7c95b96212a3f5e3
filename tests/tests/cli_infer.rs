//! `dunlin infer`: what does not fit is refused with a message that names it.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use dunlin_tests::{Machine, Npy, Output, cached, npy_array as array, npy_floats as npy};

const MODEL: i32 = 9;

fn infer(machine: &Machine, arguments: &[&str]) -> Option<Output> {
    let model = cached("fixtures/add/model.onnx")?;
    let all: Vec<&str> = ["infer", "--allow-unsigned", model.to_str().unwrap()]
        .into_iter()
        .chain(arguments.iter().copied())
        .collect();
    Some(machine.dunlin(&all))
}

#[test]
fn outputs_are_written_and_latencies_printed() {
    let machine = Machine::new();
    machine.write("a.npy", npy(&[1.0, 2.0, 3.0]));
    machine.write("b.npy", npy(&[10.0, 20.0, 30.0]));
    let arguments = [
        "--in", "A=a.npy", "--in", "B=b.npy", "--out", "results", "--repeat", "5", "--output", "json",
    ];
    let Some(ran) = infer(&machine, &arguments) else { return };
    let report = ran.ok().json();
    assert_eq!(report["engine"], "tract");
    assert_eq!(report["latency"]["runs"], 5);
    assert_eq!(Npy::read(&machine.path("results/C.npy")).values, [11.0, 22.0, 33.0]);
}

#[test]
fn inputs_that_do_not_fit_are_named() {
    let machine = Machine::new();
    machine.write("a.npy", npy(&[1.0, 2.0, 3.0]));
    machine.write("short.npy", npy(&[1.0, 2.0]));
    machine.write("ints.npy", array("<i8", "(3,)", &[0; 24]));
    machine.write("square.npy", array("<f4", "(1, 3)", &[0; 12]));
    for (arguments, named) in [
        (&["--in", "A=a.npy"][..], "B"),
        (&["--in", "A=a.npy", "--in", "B=short.npy"], "B"),
        (&["--in", "A=a.npy", "--in", "B=ints.npy"], "B"),
        (&["--in", "A=a.npy", "--in", "B=square.npy"], "B"),
        (&["--in", "A=a.npy", "--in", "B=a.npy", "--in", "D=a.npy"], "D"),
    ] {
        let Some(refused) = infer(&machine, arguments) else {
            return;
        };
        refused.exits(MODEL).did_not_crash().says(named);
    }
    let Some(refused) = infer(&machine, &[]) else { return };
    refused.exits(2).says("A: f32");
}

#[test]
fn files_that_are_no_tensors_are_refused() {
    let machine = Machine::new();
    machine.write("a.npy", npy(&[1.0]));
    let good = npy(&[1.0, 2.0, 3.0]);
    for (name, bytes) in [
        ("empty", Vec::new()),
        ("cut", good[..good.len() - 1].to_vec()),
        ("header-cut", good[..20].to_vec()),
        ("long", [good.clone(), vec![0; 4]].concat()),
        ("objects", array("|O", "(1,)", &[0; 8])),
        ("huge", array("<f4", "(99999999999999, 99999999999)", &[0; 4])),
        ("garbage", b"\x93NUMPY\x01\x00\xff\xff garbage".to_vec()),
        ("text", b"1.0 2.0".to_vec()),
    ] {
        machine.write("b.npy", bytes);
        let Some(refused) = infer(&machine, &["--in", "A=a.npy", "--in", "B=b.npy"]) else {
            return;
        };
        assert!(refused.code == MODEL, "{name}: {refused:#?}");
        refused.did_not_crash().says("B");
    }
    let Some(refused) = infer(&machine, &["--in", "A=none.npy", "--in", "B=a.npy"]) else {
        return;
    };
    refused.exits(3).says("none.npy");
}

#[test]
fn models_that_are_none_are_refused() {
    let Some(model) = cached("fixtures/add/model.onnx") else {
        return;
    };
    let machine = Machine::new();
    let good = fs_err::read(model).unwrap();
    machine.write("a.npy", npy(&[1.0]));
    let mut refused = 0;
    for length in 0..good.len() {
        machine.write("cut.onnx", &good[..length]);
        let ran = machine.dunlin(&[
            "infer",
            "--allow-unsigned",
            "cut.onnx",
            "--in",
            "A=a.npy",
            "--in",
            "B=a.npy",
        ]);
        ran.did_not_crash();
        refused += usize::from(ran.code == MODEL);
    }
    assert!(
        refused > good.len() / 2,
        "{refused} of {} truncations were refused",
        good.len()
    );
    machine.write("text.onnx", "this is no model");
    machine
        .dunlin(&["infer", "--allow-unsigned", "text.onnx", "--in", "A=a.npy"])
        .exits(MODEL)
        .says("text.onnx");
}

#[test]
fn a_bare_model_needs_allow_unsigned() {
    let Some(model) = cached("fixtures/add/model.onnx") else {
        return;
    };
    let machine = Machine::new();
    machine
        .dunlin(&["infer", model.to_str().unwrap()])
        .exits(4)
        .says("--allow-unsigned");
}

#[test]
fn engines_and_devices_that_are_not_there_are_explained() {
    let machine = Machine::new();
    machine.write("a.npy", npy(&[1.0]));
    let inputs = ["--in", "A=a.npy", "--in", "B=a.npy"];
    for (options, said) in [
        (&["--device", "cuda:0"][..], "CUDA"),
        (&["--device", "toaster"], "toaster"),
        (&["--engine", "ort", "--onnxruntime", "none.so"], "none.so"),
        (&["--engine", "ort", "--onnxruntime", "a.npy"], "a.npy"),
    ] {
        let all: Vec<&str> = inputs.iter().chain(options).copied().collect();
        let Some(refused) = infer(&machine, &all) else { return };
        refused.exits(MODEL).did_not_crash().says(said);
    }
}

#[test]
fn a_full_disk_is_a_clear_error_and_leaves_the_store_as_it_was() {
    if !dunlin_tests::present(rustix::process::geteuid().is_root(), "a small file system needs root") {
        return;
    }
    let Some(model) = cached("fixtures/magika/model.onnx") else {
        return;
    };
    let machine = Machine::new();
    let small = machine.path("data");
    fs_err::create_dir(&small).unwrap();
    let mounted = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"])
        .arg(&small)
        .status();
    if !dunlin_tests::present(
        mounted.is_ok_and(|status| status.success()),
        "mount is not permitted here",
    ) {
        return;
    }
    drop(machine.dunlin(&["ls"]).ok());
    let before = machine.store_files();
    let refused = machine.dunlin(&["pack", "--tag", "demo/magika:1", model.to_str().unwrap()]);
    let after = machine.store_files();
    let unmounted = std::process::Command::new("umount").arg(&small).status();
    assert!(unmounted.is_ok_and(|status| status.success()));
    refused.exits(7).did_not_crash().says("no space");
    assert_eq!(before, after);
}
