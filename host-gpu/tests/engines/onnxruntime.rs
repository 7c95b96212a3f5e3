//! onnxruntime as a plug-in. These tests need a libonnxruntime: `onnxruntime/libonnxruntime.so` in the folder of assets,
//! which is `DUNLIN_ASSETS`, or `dunlin/assets` in the user's cache.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use dunlin_host_gpu::{
    CancelToken, ComputeError, Encoding, EngineChoice, EngineConfig, Engines, LoadError, ModelSource, Stopped,
};
use tract_onnx::pb::{GraphProto, tensor_proto::DataType};

use crate::builder::{D, With as _, chain, compute, f32s, floats, graph, i64s, ints, node, source, value, values};

#[allow(clippy::disallowed_methods, reason = "a test finds its own prerequisites")]
fn library() -> Option<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
    let assets = std::env::var_os("DUNLIN_ASSETS")
        .map(PathBuf::from)
        .or_else(|| Some(cache?.join("dunlin/assets")));
    let library = assets?.join("onnxruntime/libonnxruntime.so");
    if library.is_file() {
        return Some(library);
    }
    assert!(
        std::env::var_os("CI").is_none(),
        "{} is missing: fetch the assets",
        library.display()
    );
    None
}

fn engines(choice: EngineChoice) -> Option<Engines> {
    let Some(library) = library() else {
        // Shown by the test runner when asked for output.
        #[allow(clippy::print_stderr, reason = "a skipped check must say so")]
        {
            eprintln!("ignored: no libonnxruntime.so among the assets");
        }
        return None;
    };
    Some(
        Engines::new(EngineConfig {
            choice,
            ort_library: Some(library),
            ..Default::default()
        })
        .unwrap(),
    )
}

fn adder() -> GraphProto {
    graph(
        vec![node("Add", &["x", "w"], &["y"])],
        vec![floats("w", &[2], &[10.0, 20.0])],
        vec![value("x", DataType::Float, &[D::S("batch"), D::N(2)])],
        vec![value("y", DataType::Float, &[D::S("batch"), D::N(2)])],
    )
}

/// Adds 1 to `x` as often as `count` says: `Loop` is an operator that tract does not have.
fn counting_loop() -> GraphProto {
    let scalar = |name| value(name, DataType::Float, &[D::N(1)]);
    let body = graph(
        vec![
            node("Identity", &["go"], &["go_on"]),
            node("Add", &["sum", "one"], &["next"]),
        ],
        vec![floats("one", &[1], &[1.0])],
        vec![
            value("i", DataType::Int64, &[]),
            value("go", DataType::Bool, &[]),
            scalar("sum"),
        ],
        vec![value("go_on", DataType::Bool, &[]), scalar("next")],
    );
    graph(
        vec![node("Loop", &["count", "", "x"], &["y"]).graph("body", body)],
        vec![],
        vec![value("count", DataType::Int64, &[]), scalar("x")],
        vec![scalar("y")],
    )
}

#[test]
fn a_graph_computes_and_says_the_same_of_itself() {
    let Some(engines) = engines(EngineChoice::Ort) else {
        return;
    };
    let graph = engines.load(&source(adder())).unwrap();
    assert_eq!(graph.engine(), "onnxruntime");
    assert_eq!(graph.signature().inputs[0].to_string(), "x: f32[batch, 2]");
    for batch in [1, 3] {
        let outputs = compute(&*graph, vec![f32s("x", &[batch, 2], &vec![1.0; batch * 2])]).unwrap();
        assert_eq!(
            (outputs[0].tensor.shape(), &values(&outputs[0])[..2]),
            (&[batch, 2][..], &[11.0, 21.0][..])
        );
    }
    let wrong = compute(&*graph, vec![f32s("x", &[2], &[1.0, 1.0])]);
    assert!(matches!(wrong, Err(ComputeError::WrongRank { .. })));
}

#[test]
fn it_takes_over_what_the_built_in_engine_does_not_load() {
    let Some(engines) = engines(EngineChoice::Auto) else {
        return;
    };
    assert_eq!(engines.load(&source(adder())).unwrap().engine(), "tract");
    let graph = engines.load(&source(counting_loop())).unwrap();
    assert_eq!(graph.engine(), "onnxruntime");
    let outputs = compute(&*graph, vec![i64s("count", &[], &[5]), f32s("x", &[1], &[0.5])]).unwrap();
    assert_eq!(values(&outputs[0]), [5.5]);
    let report = engines.explain(&source(counting_loop()));
    assert_eq!((report.chosen, report.candidates.len()), (Some("onnxruntime"), 2));
    assert!(report.candidates[0].outcome.as_ref().unwrap_err().contains("Loop"));
}

#[test]
fn a_deadline_ends_a_run_and_the_graph_serves_the_next() {
    let Some(engines) = engines(EngineChoice::Ort) else {
        return;
    };
    let graph = engines.load(&source(counting_loop())).unwrap();
    let endless = vec![i64s("count", &[], &[i64::MAX]), f32s("x", &[1], &[0.0])];
    let deadline = CancelToken::with_deadline(Instant::now() + Duration::from_millis(50));
    let stopped = graph.init_execution_context().unwrap().compute(endless, &deadline);
    assert!(
        matches!(stopped, Err(ComputeError::Stopped(Stopped::DeadlinePassed))),
        "{stopped:?}"
    );
    let short = vec![i64s("count", &[], &[1]), f32s("x", &[1], &[0.0])];
    assert_eq!(values(&compute(&*graph, short).unwrap()[0]), [1.0]);
}

#[test]
fn models_that_nobody_loads_name_both_refusals() {
    let Some(engines) = engines(EngineChoice::Auto) else {
        return;
    };
    let mut model = adder();
    model.node[0].op_type = "Frobnicate".into();
    let error = engines.load(&source(model)).unwrap_err();
    assert!(matches!(error, LoadError::AllRefused { .. }));
    // tract's refusal and onnxruntime's, which names the operator more than once.
    assert!(chain(&error).matches("Frobnicate").count() >= 2, "{}", chain(&error));
    let garbage = ModelSource::new("m", Encoding::Onnx, std::sync::Arc::new(vec![0xff; 32]));
    assert!(matches!(engines.load(&garbage), Err(LoadError::Refused { .. })));
}

#[test]
fn failing_nodes_are_errors() {
    let Some(engines) = engines(EngineChoice::Ort) else {
        return;
    };
    let model = graph(
        vec![node("Gather", &["w", "i"], &["y"])],
        vec![ints("w", &[2], &[7, 8])],
        vec![value("i", DataType::Int64, &[D::S("n")])],
        vec![value("y", DataType::Int64, &[D::S("n")])],
    );
    let graph = engines.load(&source(model)).unwrap();
    let error = compute(&*graph, vec![i64s("i", &[1], &[9])]).unwrap_err();
    assert!(
        matches!(
            error,
            ComputeError::Engine {
                engine: "onnxruntime",
                ..
            }
        ),
        "{error:?}"
    );
    assert_eq!(
        compute(&*graph, vec![i64s("i", &[1], &[1])]).unwrap()[0].tensor,
        i64s("y", &[1], &[8]).tensor
    );
}
