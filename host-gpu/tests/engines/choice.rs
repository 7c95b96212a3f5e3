//! Which engine is chosen, and what users are told when there is none.

use std::path::PathBuf;

use dunlin_host_gpu::{Device, Encoding, EngineChoice, EngineConfig, EngineError, Engines, LoadError};
use tract_onnx::pb::tensor_proto::DataType;

use crate::builder::{D, chain, engines, graph, node, source, value};

fn unknown_operator() -> tract_onnx::pb::GraphProto {
    let nodes = vec![node("Frobnicate", &["x"], &["y"])];
    graph(
        nodes,
        vec![],
        vec![value("x", DataType::Float, &[D::N(1)])],
        vec![value("y", DataType::Float, &[D::N(1)])],
    )
}

#[test]
fn cuda_is_refused_when_the_engines_are_set_up() {
    let error = Engines::new(EngineConfig {
        device: Device::Cuda(0),
        ..Default::default()
    })
    .unwrap_err();
    assert_eq!(
        chain(&error),
        "the engines cannot use the device: device cuda:0: no CUDA backend in this build"
    );
    assert!(error.hint().unwrap().contains("cpu"));
}

#[test]
fn a_named_library_must_exist() {
    for choice in [EngineChoice::Auto, EngineChoice::Ort] {
        let ort_library = Some(PathBuf::from("/nowhere/libonnxruntime.so"));
        let error = Engines::new(EngineConfig {
            choice,
            ort_library,
            ..Default::default()
        })
        .unwrap_err();
        assert!(matches!(error, EngineError::LibraryNotFound { .. }), "{error:?}");
    }
}

#[test]
fn onnxruntime_as_the_choice_needs_a_library() {
    let ort_search = vec![PathBuf::from("/nowhere")];
    let error = Engines::new(EngineConfig {
        choice: EngineChoice::Ort,
        ort_search,
        ..Default::default()
    })
    .unwrap_err();
    assert!(matches!(error, EngineError::NoLibrary { .. }));
    assert!(error.hint().unwrap().contains("libonnxruntime"));
}

#[test]
fn other_formats_have_no_engine_yet() {
    let mut source = source(unknown_operator());
    source.encoding = Encoding::Ggml;
    let error = engines().load(&source).unwrap_err();
    assert!(matches!(
        error,
        LoadError::UnsupportedEncoding {
            encoding: Encoding::Ggml,
            ..
        }
    ));
    assert_eq!(engines().explain(&source).candidates, []);
}

#[test]
fn the_report_says_who_loads_it_and_why_not() {
    let nodes = vec![node("Neg", &["x"], &["y"])];
    let dims = [D::S("n")];
    let good = graph(
        nodes,
        vec![],
        vec![value("x", DataType::Float, &dims)],
        vec![value("y", DataType::Float, &dims)],
    );
    let report = engines().explain(&source(good));
    assert_eq!(report.chosen, Some("tract"));
    assert_eq!(
        report.candidates[0].outcome.as_ref().unwrap().inputs[0].to_string(),
        "x: f32[n]"
    );
    let report = engines().explain(&source(unknown_operator()));
    assert_eq!(report.chosen, None);
    assert!(report.reason.contains("no libonnxruntime"));
    assert!(
        report.candidates[0]
            .outcome
            .as_ref()
            .unwrap_err()
            .contains("Frobnicate")
    );
}

#[test]
fn the_built_in_engine_alone_does_not_speak_of_fallbacks() {
    let engines = Engines::new(EngineConfig {
        choice: EngineChoice::Tract,
        ..Default::default()
    })
    .unwrap();
    let error = engines.load(&source(unknown_operator())).unwrap_err();
    assert!(matches!(error, LoadError::Engine { engine: "tract", .. }), "{error:?}");
}
