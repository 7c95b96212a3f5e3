//! Guests that no toolchain makes: components by hand that call wasi-nn with what they please. The guest may trap; the
//! host may neither panic nor keep anything.

use std::sync::Arc;

use dunlin_host_gpu::MemoryBudget;
use dunlin_runtime::{CommandApp, ExitStatus, Grants, InstanceStats, Limits, LinkOptions, RunError};

use crate::support::{Adder, Models, Mood, chain, compile_wat, engine, scheduler};

/// A command that runs `body` with `$new(dims, dims_len, type, data, data_len)`, `$data(tensor, result)` and
/// `$drop(tensor)`. The first words of memory are 4, 0, 0, 0.
fn component(body: &str) -> String {
    format!(
        r#"(component
        (import "wasi:nn/tensor@0.2.0-rc-2024-10-28" (instance $t
            (export "tensor" (type $tensor (sub resource)))
            (type $types (enum "FP16" "FP32" "FP64" "BF16" "U8" "I32" "I64"))
            (export "tensor-type" (type $type (eq $types)))
            (export "[constructor]tensor" (func
                (param "dimensions" (list u32)) (param "ty" $type) (param "data" (list u8)) (result (own $tensor))))
            (export "[method]tensor.data" (func (param "self" (borrow $tensor)) (result (list u8))))))
        (core module $memory
            (memory (export "memory") 1)
            (data (i32.const 0) "\04\00\00\00")
            (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024)))
        (core instance $memory (instantiate $memory))
        (alias export $t "tensor" (type $tensor))
        (core func $new (canon lower (func $t "[constructor]tensor") (memory (core memory $memory "memory"))))
        (core func $data (canon lower (func $t "[method]tensor.data")
            (memory (core memory $memory "memory")) (realloc (core func $memory "realloc"))))
        (core func $drop (canon resource.drop $tensor))
        (core module $m
            (import "nn" "new" (func $new (param i32 i32 i32 i32 i32) (result i32)))
            (import "nn" "data" (func $data (param i32 i32)))
            (import "nn" "drop" (func $drop (param i32)))
            (import "memory" "memory" (memory 1))
            (func (export "run") (result i32) (local $i i32) {body}))
        (core instance $i (instantiate $m
            (with "nn" (instance
                (export "new" (func $new)) (export "data" (func $data)) (export "drop" (func $drop))))
            (with "memory" (instance $memory))))
        (func $run (result (result)) (canon lift (core func $i "run")))
        (instance $e (export "run" (func $run)))
        (export "wasi:cli/run@0.2.0" (instance $e)))"#
    )
}

/// U8 has number 4 among the types.
const VALID: &str = "(call $new (i32.const 0) (i32.const 1) (i32.const 4) (i32.const 0) (i32.const 4))";

async fn run(body: &str, limits: Limits) -> (Result<ExitStatus, RunError>, MemoryBudget, InstanceStats) {
    let engine = engine();
    let code = compile_wat(&engine, &component(body));
    let app = CommandApp::new(&engine, code, &LinkOptions { models: true }).unwrap();
    let budget = MemoryBudget::new(1 << 30);
    let grants = Grants {
        models: Some(Arc::new(Models(Arc::new(Adder::new(Mood::Adds))))),
        tensor_budget: Some(budget.clone()),
        ..Grants::default()
    };
    let outcome = app.run(grants, limits, &scheduler()).await;
    assert_eq!((budget.in_use(), app.stats().live_instances), (0, 0));
    let stats = app.stats();
    (outcome, budget, stats)
}

#[tokio::test]
async fn a_valid_tensor_comes_back_as_it_went() {
    // The bytes land where the guest's allocator says; the first is the 4 that was given.
    let body = format!("(call $data {VALID} (i32.const 64)) (i32.ne (i32.load8_u (i32.const 1024)) (i32.const 4))");
    let (outcome, budget, _) = run(&body, Limits::default()).await;
    assert!(outcome.unwrap().success());
    assert_eq!(budget.peak(), 4);
}

#[tokio::test]
async fn pointers_and_lengths_out_of_bounds_are_traps() {
    for arguments in [
        ["-4", "1", "4", "0", "4"],
        ["0", "-1", "4", "0", "4"],
        ["65532", "2", "4", "0", "4"],
        ["0", "1", "4", "65535", "2"],
        ["0", "1", "4", "0", "-1"],
        ["1", "1", "4", "0", "4"],
        ["0", "1", "7", "0", "4"],
        ["0", "1", "-1", "0", "4"],
    ] {
        let arguments = arguments.map(|number| format!("(i32.const {number})")).join(" ");
        let (outcome, budget, stats) = run(
            &format!("(drop (call $new {arguments})) i32.const 0"),
            Limits::default(),
        )
        .await;
        assert!(
            matches!(outcome, Err(RunError::Trap { .. })),
            "{arguments}: {outcome:?}"
        );
        assert_eq!((budget.peak(), stats.traps), (0, 1), "{arguments}");
    }
}

#[tokio::test]
async fn handles_that_are_not_the_guests_are_traps() {
    for body in [
        "(call $drop (i32.const 0)) i32.const 0".to_owned(),
        "(call $drop (i32.const -1)) i32.const 0".to_owned(),
        "(call $data (i32.const 77) (i32.const 64)) i32.const 0".to_owned(),
        format!("(local.set $i {VALID}) (call $drop (local.get $i)) (call $drop (local.get $i)) i32.const 0"),
    ] {
        let (outcome, ..) = run(&body, Limits::default()).await;
        assert!(matches!(outcome, Err(RunError::Trap { .. })), "{body}: {outcome:?}");
    }
}

#[tokio::test]
async fn a_flood_of_tensors_ends_at_the_handles() {
    // The first ten are kept, the rest refused; either way each is a handle, and there are only a hundred.
    let limits = Limits {
        host_tensors: 10,
        handles: 100,
        ..Limits::default()
    };
    let (outcome, budget, stats) = run(&format!("(loop (drop {VALID}) (br 0)) unreachable"), limits).await;
    let text = chain(&outcome.unwrap_err());
    assert!(text.contains("handle"), "{text}");
    assert_eq!(budget.peak(), 40);
    assert!((80..=100).contains(&stats.quota_refusals), "{}", stats.quota_refusals);
}

#[tokio::test]
async fn tensors_made_and_dropped_cost_nothing() {
    let body = format!(
        "(loop (call $drop {VALID}) (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br_if 0 (i32.lt_u (local.get $i) (i32.const 100000)))) i32.const 0"
    );
    let limits = Limits {
        host_tensors: 1,
        handles: 50,
        ..Limits::default()
    };
    let (outcome, budget, _) = run(&body, limits).await;
    assert!(outcome.unwrap().success());
    assert_eq!(budget.peak(), 4);
}

#[tokio::test]
async fn more_bytes_than_a_call_may_carry_are_a_trap() {
    let body =
        "(drop (call $new (i32.const 0) (i32.const 1) (i32.const 4) (i32.const 0) (i32.const 4096))) i32.const 0";
    let (outcome, budget, _) = run(
        body,
        Limits {
            hostcall_bytes: 1000,
            ..Limits::default()
        },
    )
    .await;
    assert!(matches!(outcome, Err(RunError::Trap { .. })), "{outcome:?}");
    assert_eq!(budget.peak(), 0);
}
