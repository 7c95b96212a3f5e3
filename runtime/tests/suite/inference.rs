//! `dunlin:inference` through a real guest: tensors that stay, models that say what they are, mistakes, quotas.

use std::sync::Arc;

use dunlin_host_gpu::MemoryBudget;
use dunlin_runtime::{CommandApp, Grants, InstanceStats, Limits, LinkOptions, Stdout};

use crate::support::{Adder, Collected, Models, Mood, compile, engine, guest, scheduler};

async fn well(mode: &str, limits: Limits) -> Option<(String, InstanceStats, MemoryBudget)> {
    let engine = engine();
    let code = compile(&engine, &guest("nn_inference")?);
    let app = CommandApp::new(&engine, code, &LinkOptions { models: true }).unwrap();
    let output = Arc::new(Collected::default());
    let stdout = Stdout::Sink(Arc::clone(&output) as _);
    let budget = MemoryBudget::new(1 << 30);
    let grants = Grants {
        args: vec!["nn_inference".into(), mode.into()],
        stdout: stdout.clone(),
        stderr: stdout,
        models: Some(Arc::new(Models(Arc::new(Adder::new(Mood::Adds))))),
        tensor_budget: Some(budget.clone()),
        ..Grants::default()
    };
    let status = app.run(grants, limits, &scheduler()).await.unwrap();
    assert!(status.success(), "{mode}: {}", output.text());
    assert_eq!((budget.in_use(), app.stats().traps), (0, 0), "{mode}");
    Some((output.text(), app.stats(), budget))
}

#[tokio::test]
async fn a_model_says_what_it_is_and_computes_on_borrowed_tensors() {
    let Some((output, stats, budget)) = well("", Limits::default()).await else {
        return;
    };
    assert_eq!(
        output,
        "A ElementType::F32[N] 1 outputs, digest Some(\"sha256:add\"): [1.5, 2.25] [2.5, 4.25]\n"
    );
    // Two tensors in, two sums out: the first sum went into the second compute without a copy.
    assert_eq!(
        (stats.computes, stats.tensor_bytes_in, stats.tensor_bytes_out),
        (2, 16, 16)
    );
    assert_eq!(budget.peak(), 32);
}

#[tokio::test]
async fn tensors_are_read_sliced_and_reshaped() {
    let Some((output, ..)) = well("tensors", Limits::default()).await else {
        return;
    };
    assert_eq!(output, format!("{}\n", ["invalid"; 8].join(" ")));
}

#[tokio::test]
async fn mistakes_get_the_case_of_their_kind() {
    let Some((output, ..)) = well("errors", Limits::default()).await else {
        return;
    };
    assert_eq!(output, "not-found invalid invalid invalid invalid invalid ok\n");
}

#[tokio::test]
async fn language_models_are_unsupported() {
    let Some((output, ..)) = well("text", Limits::default()).await else {
        return;
    };
    assert_eq!(output, format!("{}\n", ["unsupported"; 5].join(" ")));
}

#[tokio::test]
async fn tensors_beyond_the_quota_are_too_large() {
    let limits = Limits {
        host_tensor_bytes: 8 << 20,
        ..Limits::default()
    };
    let Some((output, stats, budget)) = well("flood", limits).await else {
        return;
    };
    assert_eq!((output.as_str(), budget.peak()), ("too-large after 8 MiB\n", 8 << 20));
    assert!(stats.quota_refusals >= 1);
}
