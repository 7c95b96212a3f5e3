//! wasi-nn for core modules: the public crates' guests as they are, WasmEdge's additions, numbers, and pointers to nowhere.

use std::sync::Arc;

use dunlin_host_gpu::MemoryBudget;
use dunlin_runtime::{CommandApp, Grants, InstanceStats, Limits, LinkError, LinkOptions, RunError, Stdout};

use crate::support::{Adder, Collected, Models, Mood, compile, compile_wat, engine, guest, scheduler};

struct Ran {
    exit: i32,
    output: String,
    stats: InstanceStats,
    budget: MemoryBudget,
}

async fn run(wasm: &[u8], mode: &str, mood: Mood, limits: Limits) -> Result<Ran, RunError> {
    let engine = engine();
    let app = CommandApp::new(&engine, compile(&engine, wasm), &LinkOptions { models: true }).unwrap();
    let output = Arc::new(Collected::default());
    let stdout = Stdout::Sink(Arc::clone(&output) as _);
    let budget = MemoryBudget::new(1 << 30);
    let grants = Grants {
        args: vec!["guest".into(), mode.into()],
        stdout: stdout.clone(),
        stderr: stdout,
        models: Some(Arc::new(Models(Arc::new(Adder::new(mood))))),
        tensor_budget: Some(budget.clone()),
        ..Grants::default()
    };
    let status = app.run(grants, limits, &scheduler()).await?;
    assert_eq!(budget.in_use(), 0, "{mode}");
    Ok(Ran {
        exit: status.code(),
        output: output.text(),
        stats: app.stats(),
        budget,
    })
}

async fn well(name: &str, mode: &str) -> Option<Ran> {
    let ran = run(&guest(name)?, mode, Mood::Adds, Limits::default()).await.unwrap();
    assert_eq!((ran.exit, ran.stats.traps), (0, 0), "{mode}: {}", ran.output);
    Some(ran)
}

#[tokio::test]
async fn guests_of_the_public_crate_run_unmodified() {
    let Some(ran) = well("nn_witx", "").await else { return };
    assert_eq!(
        (ran.output.as_str(), ran.stats.computes),
        ("C = [11.0, 22.0, 33.0]\n", 3)
    );
    assert_eq!(well("nn_witx", "missing-name").await.unwrap().output, "NotFound\n");
    assert_eq!(
        well("nn_witx", "load-bytes").await.unwrap().output,
        "C = [3.0]; InvalidEncoding\n"
    );
    assert_eq!(
        well("nn_witx", "flood").await.unwrap().output,
        "TooLarge after 16 contexts\n"
    );
}

#[tokio::test]
async fn guests_of_wasmedges_crate_run_unmodified() {
    let Some(ran) = well("nn_wasmedge", "").await else {
        return;
    };
    assert_eq!(ran.output, "TooLarge [1.5, 2.5] 8 InvalidArgument InvalidArgument\n");
    let ran = well("nn_wasmedge", "generate").await.unwrap();
    assert_eq!(
        ran.output,
        "UnsupportedOperation UnsupportedOperation UnsupportedOperation UnsupportedOperation\n"
    );
}

#[tokio::test]
async fn every_tensor_is_copied_once_in_and_once_out() {
    let Some(ran) = well("nn_witx", "").await else { return };
    // Inputs of 3, 1 and 2 floats, twice each; outputs of as many.
    assert_eq!((ran.stats.tensor_bytes_in, ran.stats.tensor_bytes_out), (48, 24));
    // Both contexts keep their tensors for the next compute.
    assert_eq!(ran.budget.peak(), 12 + 24);
}

#[tokio::test]
async fn an_engine_that_fails_is_a_number() {
    let Some(wasm) = guest("nn_witx") else { return };
    let ran = run(&wasm, "", Mood::Panics, Limits::default()).await.unwrap();
    assert_eq!((ran.exit, ran.output.as_str()), (1, "RuntimeError\n"));
}

/// Runs `body` in a module with all twelve functions; it leaves a number, which becomes the exit code.
async fn answer(memory: &str, body: &str) -> i32 {
    let text = format!(
        r#"(module
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (import "wasi_ephemeral_nn" "load" (func $load (param i32 i32 i32 i32 i32) (result i32)))
        (import "wasi_ephemeral_nn" "load_by_name" (func $name (param i32 i32 i32) (result i32)))
        (import "wasi_ephemeral_nn" "load_by_name_with_config"
            (func $config (param i32 i32 i32 i32 i32) (result i32)))
        (import "wasi_ephemeral_nn" "init_execution_context" (func $init (param i32 i32) (result i32)))
        (import "wasi_ephemeral_nn" "set_input" (func $set (param i32 i32 i32) (result i32)))
        (import "wasi_ephemeral_nn" "compute" (func $compute (param i32) (result i32)))
        (import "wasi_ephemeral_nn" "compute_single" (func $single (param i32) (result i32)))
        (import "wasi_ephemeral_nn" "get_output" (func $get (param i32 i32 i32 i32 i32) (result i32)))
        (import "wasi_ephemeral_nn" "get_output_single" (func $get1 (param i32 i32 i32 i32 i32) (result i32)))
        (import "wasi_ephemeral_nn" "fini_single" (func $fini (param i32) (result i32)))
        (import "wasi_ephemeral_nn" "unload" (func $unload (param i32) (result i32)))
        (import "wasi_ephemeral_nn" "finalize_execution_context" (func $final (param i32) (result i32)))
        {memory}
        (func $ready
            (drop (call $name (i32.const 0) (i32.const 3) (i32.const 64)))
            (drop (call $init (i32.load (i32.const 64)) (i32.const 68))))
        (func $input (param $index i32)
            (drop (call $set (i32.load (i32.const 68)) (local.get $index) (i32.const 16))))
        (func (export "_start") (call $exit {body})))"#
    );
    let engine = engine();
    let app = CommandApp::new(&engine, compile_wat(&engine, &text), &LinkOptions { models: true }).unwrap();
    let grants = Grants {
        models: Some(Arc::new(Models(Arc::new(Adder::new(Mood::Adds))))),
        ..Grants::default()
    };
    let status = app.run(grants, Limits::default(), &scheduler()).await;
    status.unwrap_or_else(|error| panic!("{body}: {error:?}")).code()
}

/// A name at 0, a tensor of two floats at 16, room for handles at 64, settings at 128.
const MEMORY: &str = r#"(memory (export "memory") 1) (data (i32.const 0) "add")
    (data (i32.const 16) "\28\00\00\00\01\00\00\00\01\00\00\00\2c\00\00\00\08\00\00\00\00\00\00\00\02\00\00\00\00\00\80\3f\00\00\00\40")
    (data (i32.const 128) "{\"temp\":1}")
    (data (i32.const 144) "\a8\00\00\00\01\00\00\00\03\00\00\00\80\00\00\00\0a\00\00\00")
    (data (i32.const 168) "\0a\00\00\00")"#;

#[tokio::test]
async fn the_module_that_kills_other_hosts_gets_a_number() {
    let parts = r#"(memory (export "memory") 1) (data (i32.const 200) "\f0\ff\ff\7f\00\04\00\00")"#;
    let call = |encoding: u32| {
        format!("(call $load (i32.const 200) (i32.const 1) (i32.const {encoding}) (i32.const 0) (i32.const 32))")
    };
    assert_eq!(answer(parts, &call(0)).await, 1);
    // GGML is 6 in WasmEdge's numbering; 15 is in nobody's.
    assert_eq!(answer(parts, &call(6)).await, 6);
    assert_eq!(answer(parts, &call(15)).await, 2);
}

#[tokio::test]
async fn pointers_to_nowhere_are_numbers() {
    for body in [
        "(call $name (i32.const -1) (i32.const 3) (i32.const 64))",
        "(call $name (i32.const 0) (i32.const -1) (i32.const 64))",
        "(call $name (i32.const 0) (i32.const 3) (i32.const 65533))",
        "(call $config (i32.const 0) (i32.const 3) (i32.const 65535) (i32.const 2) (i32.const 64))",
        "(call $load (i32.const -4) (i32.const 1) (i32.const 1) (i32.const 0) (i32.const 64))",
        "(call $load (i32.const 0) (i32.const -1) (i32.const 1) (i32.const 0) (i32.const 64))",
        "(call $load (i32.const 0) (i32.const 1) (i32.const 1) (i32.const 9) (i32.const 64))",
        "(block (result i32) (call $ready) (call $init (i32.load (i32.const 64)) (i32.const -2)))",
        "(block (result i32) (call $ready) (call $set (i32.const 0) (i32.const 0) (i32.const -8)))",
        "(block (result i32) (call $ready) (call $set (i32.const 0) (i32.const 0) (i32.const 65520)))",
        "(block (result i32) (call $ready) (i32.store (i32.const 20) (i32.const -1))
            (call $set (i32.const 0) (i32.const 0) (i32.const 16)))",
        "(block (result i32) (call $ready) (i32.store (i32.const 24) (i32.const 6))
            (call $set (i32.const 0) (i32.const 0) (i32.const 16)))",
        "(block (result i32) (call $ready) (i32.store (i32.const 28) (i32.const -9))
            (call $set (i32.const 0) (i32.const 0) (i32.const 16)))",
        "(block (result i32) (call $ready) (call $input (i32.const 0)) (call $input (i32.const 1))
            (drop (call $compute (i32.const 0)))
            (call $get (i32.const 0) (i32.const 0) (i32.const 65532) (i32.const 8) (i32.const 72)))",
        "(block (result i32) (call $ready) (call $input (i32.const 0)) (call $input (i32.const 1))
            (drop (call $compute (i32.const 0)))
            (call $get (i32.const 0) (i32.const 0) (i32.const 256) (i32.const 8) (i32.const -1)))",
    ] {
        assert_eq!(answer(MEMORY, body).await, 1, "{body}");
    }
}

#[tokio::test]
async fn a_module_without_a_memory_for_the_host_is_told_so() {
    let text = r#"(module
        (import "wasi_ephemeral_nn" "load_by_name" (func $name (param i32 i32 i32) (result i32)))
        (memory 1)
        (func (export "_start")
            (if (i32.ne (call $name (i32.const 0) (i32.const 3) (i32.const 64)) (i32.const 3)) (then unreachable))))"#;
    let ran = run(&wat::parse_str(text).unwrap(), "", Mood::Adds, Limits::default()).await;
    assert_eq!(ran.unwrap().exit, 0);
}

#[tokio::test]
async fn stale_and_unknown_handles_are_numbers() {
    for body in [
        "(call $init (i32.const 0) (i32.const 64))",
        "(call $compute (i32.const 7))",
        "(call $single (i32.const -1))",
        "(call $fini (i32.const 0))",
        "(call $unload (i32.const 0))",
        "(call $final (i32.const 0))",
        "(call $get (i32.const 0) (i32.const 0) (i32.const 256) (i32.const 8) (i32.const 72))",
        "(call $get1 (i32.const 0) (i32.const 0) (i32.const 256) (i32.const 8) (i32.const 72))",
        "(block (result i32) (call $ready) (drop (call $final (i32.const 0))) (call $compute (i32.const 0)))",
        "(block (result i32) (call $ready) (drop (call $unload (i32.const 0))) (call $unload (i32.const 0)))",
        "(block (result i32) (call $ready) (drop (call $unload (i32.const 0))) (call $init (i32.const 0) (i32.const 64)))",
        // A graph made later has another number: the stale one does not come to life again.
        "(block (result i32) (call $ready) (drop (call $unload (i32.const 0))) (call $ready) (call $unload (i32.const 0)))",
    ] {
        assert_eq!(answer(MEMORY, body).await, 1, "{body}");
    }
}

#[tokio::test]
async fn outputs_are_there_after_a_compute_and_not_before() {
    let get = |index: i32, size: i32| {
        format!("(call $get (i32.const 0) (i32.const {index}) (i32.const 256) (i32.const {size}) (i32.const 72))")
    };
    let computed =
        "(call $ready) (call $input (i32.const 0)) (call $input (i32.const 1)) (drop (call $compute (i32.const 0)))";
    let before = format!("(block (result i32) (call $ready) {})", get(0, 8));
    assert_eq!(answer(MEMORY, &before).await, 5);
    for (index, size, number) in [(0, 8, 0), (0, 100, 0), (0, 7, 7), (0, 0, 7), (1, 8, 1), (-1, 8, 1)] {
        let body = format!("(block (result i32) {computed} {})", get(index, size));
        assert_eq!(answer(MEMORY, &body).await, number, "{index} {size}");
    }
    // What is needed is written even when the buffer is too short: 8.
    let needed = format!(
        "(block (result i32) {computed} (drop {}) (i32.load (i32.const 72)))",
        get(0, 3)
    );
    assert_eq!(answer(MEMORY, &needed).await, 8);
}

#[tokio::test]
async fn settings_pass_by_a_model_that_has_none() {
    // The model has two inputs, so that index 1 is an input of its own and 2 is no place for settings.
    let set = |index: u32, record: u32| {
        format!("(block (result i32) (call $ready) (call $set (i32.const 0) (i32.const {index}) (i32.const {record})))")
    };
    assert_eq!(answer(MEMORY, &set(1, 144)).await, 0);
    assert_eq!(answer(MEMORY, &set(2, 144)).await, 1);
    assert_eq!(answer(MEMORY, &set(2, 16)).await, 1);
    let config = "(call $config (i32.const 0) (i32.const 3) (i32.const 128) (i32.const 10) (i32.const 64))";
    assert_eq!(answer(MEMORY, config).await, 0);
}

#[tokio::test]
async fn without_a_model_the_module_is_not_linked() {
    let Some(wasm) = guest("nn_witx") else { return };
    let engine = engine();
    let error = CommandApp::new(&engine, compile(&engine, &wasm), &LinkOptions::default()).unwrap_err();
    let LinkError::Missing { imports, .. } = &error else {
        panic!("{error}")
    };
    assert!(imports.iter().all(|import| import.reason == "no model was granted"));
}
