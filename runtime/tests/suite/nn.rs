//! wasi-nn through a real guest: results, error codes, quotas, cancellation.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use dunlin_host_gpu::MemoryBudget;
use dunlin_runtime::{CommandApp, ExitStatus, Grants, InstanceStats, Limits, LinkOptions, Preopen, RunError, Stdout};

use crate::support::{Adder, Collected, Models, Mood, compile, engine, guest, scheduler};

const MIB: u64 = 1 << 20;

struct Ran {
    outcome: Result<ExitStatus, RunError>,
    output: String,
    stats: InstanceStats,
    budget: MemoryBudget,
}

/// Runs `nn_add MODE`; `None` when the guest was not built.
async fn run(mode: &str, adder: &Arc<Adder>, limits: Limits, preopens: Vec<Preopen>) -> Option<Ran> {
    let engine = engine();
    let code = compile(&engine, &guest("nn_add")?);
    let app = CommandApp::new(&engine, code, &LinkOptions { models: true }).unwrap();
    let output = Arc::new(Collected::default());
    let stdout = Stdout::Sink(Arc::clone(&output) as _);
    let budget = MemoryBudget::new(1 << 30);
    let grants = Grants {
        args: vec!["nn_add".into(), mode.into()],
        stdout: stdout.clone(),
        stderr: stdout,
        models: Some(Arc::new(Models(Arc::clone(adder)))),
        tensor_budget: Some(budget.clone()),
        preopens,
        ..Grants::default()
    };
    let outcome = app.run(grants, limits, &scheduler()).await;
    Some(Ran {
        outcome,
        output: output.text(),
        stats: app.stats(),
        budget,
    })
}

async fn well(mode: &str, limits: Limits) -> Option<Ran> {
    let ran = run(mode, &Arc::new(Adder::new(Mood::Adds)), limits, vec![]).await?;
    assert!(
        matches!(&ran.outcome, Ok(status) if status.success()),
        "{mode}: {:?}: {}",
        ran.outcome,
        ran.output
    );
    assert_eq!((ran.stats.traps, ran.budget.in_use()), (0, 0), "{mode}");
    Some(ran)
}

#[tokio::test]
async fn a_model_computes() {
    let Some(ran) = well("add", Limits::default()).await else {
        return;
    };
    assert_eq!(
        (ran.output.as_str(), ran.stats.computes),
        ("C = [11.0, 22.0, 33.0]\n", 1)
    );
    // Inputs are given back before outputs are charged.
    assert_eq!(ran.budget.peak(), 24);
    well("compute-twice", Limits::default()).await;
}

#[tokio::test]
async fn mistakes_get_the_code_of_their_kind() {
    for mode in ["missing-name", "wrong-shape", "wrong-type", "wrong-input", "bad-dims"] {
        well(mode, Limits::default()).await;
    }
    let Some(ran) = well("load-garbage", Limits::default()).await else {
        return;
    };
    assert_eq!(ran.output, "invalid-encoding\n");
}

#[tokio::test]
async fn tensors_beyond_the_quota_are_too_large_and_no_trap() {
    let limits = Limits {
        host_tensor_bytes: 8 * MIB,
        ..Limits::default()
    };
    let Some(ran) = well("tensor-flood", limits).await else {
        return;
    };
    assert_eq!(ran.output, "too-large after 8 MiB\n");
    assert_eq!(ran.budget.peak(), 8 * MIB);
    assert!(ran.stats.quota_refusals >= 1);
    let limits = Limits {
        host_tensors: 5,
        ..Limits::default()
    };
    let ran = well("tensor-flood", limits).await.unwrap();
    assert_eq!(ran.output, "too-large after 5 MiB\n");
}

#[tokio::test]
async fn outputs_are_charged_too() {
    // Two inputs of one float fit, and so does one sum; three floats do not.
    let limits = Limits {
        host_tensor_bytes: 11,
        ..Limits::default()
    };
    let adder = Arc::new(Adder::new(Mood::Adds));
    let Some(ran) = run("add", &adder, limits, vec![]).await else {
        return;
    };
    assert_eq!(ran.outcome.unwrap().code(), 1);
    assert!(ran.output.contains("too-large"), "{}", ran.output);
    assert_eq!(ran.budget.in_use(), 0);
}

#[tokio::test]
async fn computes_at_once_are_bounded() {
    let limits = Limits {
        computes: 0,
        ..Limits::default()
    };
    let adder = Arc::new(Adder::new(Mood::Adds));
    let Some(ran) = run("add", &adder, limits, vec![]).await else {
        return;
    };
    assert_eq!((ran.outcome.unwrap().code(), ran.stats.quota_refusals), (1, 1));
    assert!(ran.output.contains("too-large"), "{}", ran.output);
    // What the guest gave away with the call is gone all the same.
    assert_eq!(ran.budget.in_use(), 0);
}

#[tokio::test]
async fn large_buffers_are_kept_for_the_next_tensor() {
    let engine = engine();
    let Some(wasm) = guest("nn_add") else { return };
    let app = CommandApp::new(&engine, compile(&engine, &wasm), &LinkOptions { models: true }).unwrap();
    let grants = Grants {
        args: vec!["nn_add".into(), "tensor-flood".into()],
        models: Some(Arc::new(Models(Arc::new(Adder::new(Mood::Adds))))),
        ..Grants::default()
    };
    let limits = Limits {
        host_tensor_bytes: 4 * MIB,
        ..Limits::default()
    };
    app.run(grants, limits, &scheduler()).await.unwrap();
    // Four tensors of a MiB came back from a guest that ended.
    assert_eq!(engine.idle_tensor_bytes(), 4 << 20);
    engine.trim();
    assert_eq!(engine.idle_tensor_bytes(), 0);
}

#[tokio::test]
async fn handles_are_bounded() {
    let Some(ran) = well(
        "context-flood",
        Limits {
            contexts: 7,
            ..Limits::default()
        },
    )
    .await
    else {
        return;
    };
    assert_eq!(ran.output, "too-large after 7 contexts\n");
}

#[tokio::test]
async fn bytes_are_loaded_within_their_own_quota() {
    let dir = tempfile::tempdir().unwrap();
    fs_err::create_dir(dir.path().join("add")).unwrap();
    fs_err::write(
        dir.path().join("add/model.onnx"),
        b"add, as the test's provider knows it",
    )
    .unwrap();
    let preopens = vec![Preopen {
        host: dir.path().to_owned(),
        guest: "/models".into(),
        read_only: true,
    }];
    let adder = Arc::new(Adder::new(Mood::Adds));
    let Some(ran) = run("load-bytes", &adder, Limits::default(), preopens.clone()).await else {
        return;
    };
    assert!(ran.outcome.unwrap().success(), "{}", ran.output);
    let limits = Limits {
        load_bytes: 10,
        ..Limits::default()
    };
    let ran = run("load-bytes", &adder, limits, preopens).await.unwrap();
    assert_eq!(ran.outcome.unwrap().code(), 1);
    assert!(ran.output.contains("too-large"), "{}", ran.output);
}

#[tokio::test]
async fn an_engine_that_panics_costs_the_guest_an_error() {
    let Some(ran) = run("add", &Arc::new(Adder::new(Mood::Panics)), Limits::default(), vec![]).await else {
        return;
    };
    assert_eq!(ran.outcome.unwrap().code(), 1);
    assert_eq!(ran.output, "runtime-error: the engine failed on this model\n");
}

#[tokio::test]
async fn a_deadline_cancels_the_compute() {
    let adder = Arc::new(Adder::new(Mood::NeverEnds));
    let limits = Limits {
        wall: Some(Duration::from_secs(2)),
        ..Limits::default()
    };
    let Some(ran) = run("add", &adder, limits, vec![]).await else {
        return;
    };
    // Whether the guest still gets to see the timeout is a race between two clocks with one deadline.
    match ran.outcome {
        Err(RunError::Deadline { .. }) => {}
        Ok(status) => assert!(status.code() == 1 && ran.output.contains("timeout"), "{}", ran.output),
        Err(error) => panic!("{error}"),
    }
    assert!(adder.started.load(Ordering::SeqCst));
    until(&adder.stopped).await;
    assert_eq!(ran.budget.in_use(), 0);
}

#[tokio::test]
async fn a_run_that_is_given_up_cancels_the_compute() {
    let adder = Arc::new(Adder::new(Mood::NeverEnds));
    tokio::select! {
        biased;
        ran = run("add", &adder, Limits::default(), vec![]) => return assert!(ran.is_none(), "it ended"),
        () = until(&adder.started) => {}
    }
    until(&adder.stopped).await;
}

async fn until(flag: &AtomicBool) {
    while !flag.load(Ordering::SeqCst) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
