//! Models and inputs that mean harm: every one is an error that names its object, and the process lives on.

use std::sync::Arc;

use dunlin_host_gpu::{CancelToken, ComputeError, Encoding, LoadError, ModelSource, PrepareError, Stopped};
use tract_onnx::pb::{GraphProto, tensor_proto::DataType};

use crate::builder::{
    D, With as _, chain, compute, engines, f32s, file, floats, graph, i64s, load, node, source, value, values,
};

fn load_bytes(bytes: Vec<u8>) -> Result<(), LoadError> {
    engines()
        .load(&ModelSource::new("test", Encoding::Onnx, Arc::new(bytes)))
        .map(drop)
}

fn small() -> GraphProto {
    graph(
        vec![node("MatMul", &["x", "w"], &["m"]), node("Relu", &["m"], &["y"])],
        vec![floats("w", &[2, 2], &[1.0, 2.0, 3.0, 4.0])],
        vec![value("x", DataType::Float, &[D::S("n"), D::N(2)])],
        vec![value("y", DataType::Float, &[D::S("n"), D::N(2)])],
    )
}

#[test]
fn bytes_that_are_no_model_are_refused() {
    for bytes in [
        &b""[..],
        b"GGUF\x03\0\0\0",
        b"PK\x03\x04",
        b"\0\0\0\0\0\0\0\0",
        &[0xff; 64],
        &[0x3a; 4096],
    ] {
        let error = load_bytes(bytes.to_vec()).unwrap_err();
        assert!(matches!(error, LoadError::Refused { .. }), "{bytes:?}: {error:?}");
    }
}

#[test]
fn truncated_models_are_refused() {
    let whole = file(small());
    for len in 0..whole.len() {
        // Cut between two fields, a message is whole without the last one: what is left must still have a graph to load.
        let decoded = <tract_onnx::pb::ModelProto as prost::Message>::decode(&whole[..len]);
        let complete = decoded.is_ok_and(|model| model.graph.is_some());
        assert!(
            complete || load_bytes(whole[..len].to_vec()).is_err(),
            "{len} of {}",
            whole.len()
        );
    }
}

#[test]
fn flipped_bytes_never_bring_the_process_down() {
    let whole = file(small());
    let engines = engines();
    for index in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[index] ^= 0x55;
        let source = ModelSource::new("test", Encoding::Onnx, Arc::new(flipped));
        if let Ok(graph) = engines.load(&source) {
            let _ = compute(&*graph, vec![f32s("x", &[1, 2], &[1.0, 1.0])]);
        }
    }
}

#[test]
fn lying_tensors_are_refused_by_name() {
    let mut short = small();
    short.initializer[0].raw_data.pop();
    let mut huge = small();
    huge.initializer[0].dims = vec![i64::MAX, i64::MAX];
    let mut negative = small();
    negative.initializer[0].dims = vec![-2, -2];
    for model in [short, huge, negative] {
        let error = load(model).unwrap_err();
        assert!(chain(&error).contains("`w`"), "{error:?}");
    }
}

#[test]
fn graphs_that_are_no_graphs_are_refused() {
    let mut dangling_output = small();
    dangling_output.output[0].name = "nowhere".into();
    assert!(matches!(
        load(dangling_output),
        Err(LoadError::Refused { source: PrepareError::DanglingOutput { name }, .. }) if name == "nowhere"
    ));
    let mut dangling_input = small();
    dangling_input.node[0].input[0] = "nowhere".into();
    assert!(chain(&load(dangling_input).unwrap_err()).contains("nowhere"));
    let mut cycle = small();
    cycle.node[0].input[0] = "y".into();
    assert!(load(cycle).is_err());
    let mut twice = small();
    twice.input.push(value("x", DataType::Float, &[D::N(1)]));
    assert!(matches!(
        load(twice),
        Err(LoadError::Refused {
            source: PrepareError::DuplicateName { .. },
            ..
        })
    ));
    let mut empty = small();
    empty.output.clear();
    assert!(matches!(
        load(empty),
        Err(LoadError::Refused {
            source: PrepareError::NoOutputs,
            ..
        })
    ));
}

#[test]
fn nesting_is_bounded() {
    let leaf = || {
        graph(
            vec![node("Neg", &["x"], &["y"])],
            vec![],
            vec![],
            vec![value("y", DataType::Float, &[])],
        )
    };
    let mut model = leaf();
    for _ in 0..17 {
        let nodes = vec![
            node("If", &["c"], &["y"])
                .graph("then_branch", model)
                .graph("else_branch", leaf()),
        ];
        model = graph(nodes, vec![], vec![], vec![value("y", DataType::Float, &[])]);
    }
    let error = load(model).unwrap_err();
    assert!(
        matches!(
            error,
            LoadError::Refused {
                source: PrepareError::TooDeep { limit: 16 },
                ..
            }
        ),
        "{error:?}"
    );
}

#[test]
fn long_dimension_names_do_no_harm() {
    let mut model = small();
    let name: &'static str = "((((((((((((((((".repeat(8_000).leak();
    model.input[0] = value("x", DataType::Float, &[D::S(name), D::N(2)]);
    let graph = load(model).unwrap();
    assert_eq!(
        values(&compute(&*graph, vec![f32s("x", &[1, 2], &[1.0, 1.0])]).unwrap()[0]),
        [4.0, 6.0]
    );
}

#[test]
fn kinds_that_cannot_cross_the_seam_are_refused_by_name() {
    let mut text = small();
    text.input.push(value("words", DataType::String, &[D::N(1)]));
    let error = load(text).unwrap_err();
    assert_eq!(
        chain(&error),
        "model `test` is refused: `words` is of type string, which is not supported"
    );
    let mut sequence = small();
    let mut input = value("list", DataType::Float, &[]);
    input.r#type.as_mut().unwrap().value = None;
    sequence.input.push(input);
    assert!(chain(&load(sequence).unwrap_err()).contains("`list` is of type sequence, map or optional"));
}

#[test]
fn unknown_operators_are_listed() {
    let mut model = small();
    model.node[1].op_type = "Frobnicate".into();
    let error = load(model).unwrap_err();
    assert!(matches!(error, LoadError::NoFallback { .. }));
    assert!(chain(&error).contains("Frobnicate"), "{}", chain(&error));
    assert!(error.hint().unwrap().contains("libonnxruntime"));
}

fn outer_product() -> GraphProto {
    graph(
        vec![node("MatMul", &["a", "b"], &["y"])],
        vec![],
        vec![
            value("a", DataType::Float, &[D::S("m"), D::N(1)]),
            value("b", DataType::Float, &[D::N(1), D::S("n")]),
        ],
        vec![value("y", DataType::Float, &[D::S("m"), D::S("n")])],
    )
}

#[test]
fn inputs_cannot_multiply_into_more_than_the_limit() {
    let graph = load(outer_product()).unwrap();
    let long = vec![0.0; 100_000];
    for _ in 0..3 {
        let inputs = vec![f32s("a", &[100_000, 1], &long), f32s("b", &[1, 100_000], &long)];
        let error = compute(&*graph, inputs).unwrap_err();
        assert!(
            matches!(
                error,
                ComputeError::TensorTooLarge {
                    asked: Some(40_000_000_000),
                    ..
                }
            ),
            "{error:?}"
        );
    }
    let fits = vec![f32s("a", &[2, 1], &[1.0, 2.0]), f32s("b", &[1, 1], &[3.0])];
    assert_eq!(values(&compute(&*graph, fits).unwrap()[0]), [3.0, 6.0]);
}

#[test]
fn values_cannot_ask_for_more_than_the_limit() {
    let range = graph(
        vec![node("Range", &["from", "to", "step"], &["y"])],
        vec![],
        ["from", "to", "step"]
            .map(|name| value(name, DataType::Int64, &[]))
            .to_vec(),
        vec![value("y", DataType::Int64, &[D::S("count")])],
    );
    let graph = load(range).unwrap();
    let run = |from, to, step| {
        compute(
            &*graph,
            vec![
                i64s("from", &[], &[from]),
                i64s("to", &[], &[to]),
                i64s("step", &[], &[step]),
            ],
        )
    };
    assert_eq!(run(2, 8, 3).unwrap()[0].tensor, i64s("y", &[2], &[2, 5]).tensor);
    assert!(matches!(run(0, i64::MAX, 1), Err(ComputeError::TensorTooLarge { .. })));
    assert!(run(0, 1, 0).is_err());
}

/// Bytes of a model that ask for terabytes, or for more than the machine has, while the model is only loaded.
#[test]
fn constants_cannot_ask_for_more_than_the_limit() {
    use crate::builder::ints;
    let open = || vec![value("x", DataType::Float, &[D::S("n")])];
    let y = || vec![value("y", DataType::Float, &[])];
    for side in [1 << 16, 1 << 30, i64::MAX] {
        let zeros = graph(
            vec![
                node("ConstantOfShape", &["shape"], &["zeros"]),
                node("Size", &["zeros"], &["y"]),
            ],
            vec![ints("shape", &[2], &[side, side])],
            open(),
            y(),
        );
        assert!(load(zeros).is_err(), "{side}");
        let expanded = graph(
            vec![
                node("Concat", &["side", "side"], &["shape"]).int("axis", 0),
                node("Expand", &["one", "shape"], &["many"]),
                node("Size", &["many"], &["y"]),
            ],
            vec![ints("side", &[1], &[side]), floats("one", &[1, 1], &[1.0])],
            open(),
            y(),
        );
        assert!(load(expanded).is_err(), "{side}");
        let counted = graph(
            vec![
                node("Range", &["from", "to", "step"], &["r"]),
                node("Size", &["r"], &["y"]),
            ],
            vec![
                ints("from", &[], &[0]),
                ints("to", &[], &[side * 10_000]),
                ints("step", &[], &[1]),
            ],
            open(),
            y(),
        );
        if side < i64::MAX {
            assert!(load(counted).is_err(), "{side}");
        }
    }
}

/// A mask of `n` times `n`, as attention makes them: the input is small and the constant is not.
#[test]
fn sizes_of_inputs_cannot_make_constants_of_more_than_the_limit() {
    let mask = graph(
        vec![
            node("Shape", &["x"], &["n"]),
            node("Concat", &["n", "n"], &["shape"]).int("axis", 0),
            node("Expand", &["one", "shape"], &["y"]),
        ],
        vec![floats("one", &[1, 1], &[1.0])],
        vec![value("x", DataType::Float, &[D::S("n")])],
        vec![value("y", DataType::Float, &[D::S("n"), D::S("n")])],
    );
    let graph = load(mask).unwrap();
    for _ in 0..3 {
        let error = compute(&*graph, vec![f32s("x", &[200_000], &vec![0.0; 200_000])]).unwrap_err();
        assert!(matches!(error, ComputeError::TensorTooLarge { .. }), "{error:?}");
    }
    let outputs = compute(&*graph, vec![f32s("x", &[3], &[0.0; 3])]).unwrap();
    assert_eq!(outputs[0].tensor.shape(), [3, 3]);
}

#[test]
fn indices_out_of_range_are_an_error_and_the_context_lives_on() {
    let gather = graph(
        vec![node("Gather", &["w", "i"], &["y"]).int("axis", 0)],
        vec![floats("w", &[2, 2], &[1.0, 2.0, 3.0, 4.0])],
        vec![value("i", DataType::Int64, &[D::S("n")])],
        vec![value("y", DataType::Float, &[D::S("n"), D::N(2)])],
    );
    let graph = load(gather).unwrap();
    let mut context = graph.init_execution_context().unwrap();
    for bad in [2, -3, i64::MAX, i64::MIN] {
        assert!(
            context
                .compute(vec![i64s("i", &[1], &[bad])], &CancelToken::new())
                .is_err(),
            "{bad}"
        );
    }
    let outputs = context
        .compute(vec![i64s("i", &[2], &[1, -2])], &CancelToken::new())
        .unwrap();
    assert_eq!(values(&outputs[0]), [3.0, 4.0, 1.0, 2.0]);
}

/// Multiplies `x` with as many of the rows of `w` as `x` has zeros: the kernels must not read past the shorter side.
#[test]
fn contractions_over_sizes_that_only_values_tell_are_refused() {
    let nodes = vec![
        node("NonZero", &["flags"], &["places"]),
        node("Squeeze", &["places", "first"], &["rows"]),
        node("Gather", &["w", "rows"], &["some"]),
        node("MatMul", &["x", "some"], &["y"]),
    ];
    let weights = vec![
        floats("w", &[4, 1], &[1.0, 2.0, 3.0, 4.0]),
        crate::builder::ints("first", &[1], &[0]),
    ];
    let inputs = vec![
        value("flags", DataType::Float, &[D::N(4)]),
        value("x", DataType::Float, &[D::N(1), D::N(2)]),
    ];
    let model = graph(
        nodes,
        weights,
        inputs,
        vec![value("y", DataType::Float, &[D::N(1), D::N(1)])],
    );
    let error = load(model).unwrap_err();
    assert!(chain(&error).contains("which are not the same"), "{}", chain(&error));
}

#[test]
fn a_stopped_token_stops_the_compute() {
    let graph = load(small()).unwrap();
    let mut context = graph.init_execution_context().unwrap();
    let cancel = CancelToken::new();
    cancel.cancel();
    let inputs = || vec![f32s("x", &[1, 2], &[1.0, 1.0])];
    assert!(matches!(
        context.compute(inputs(), &cancel),
        Err(ComputeError::Stopped(Stopped::Cancelled))
    ));
    let late = CancelToken::with_deadline(std::time::Instant::now());
    assert!(matches!(
        context.compute(inputs(), &late),
        Err(ComputeError::Stopped(Stopped::DeadlinePassed))
    ));
    assert!(context.compute(inputs(), &CancelToken::new()).is_ok());
}

#[test]
fn limits_are_those_of_the_configuration() {
    let limits = dunlin_host_gpu::ModelLimits {
        nodes: 1,
        ..Default::default()
    };
    let config = dunlin_host_gpu::EngineConfig {
        limits,
        ..Default::default()
    };
    let engines = dunlin_host_gpu::Engines::new(config).unwrap();
    let error = engines.load(&source(small())).unwrap_err();
    assert!(matches!(
        error,
        LoadError::Refused {
            source: PrepareError::TooManyNodes { limit: 1 },
            ..
        }
    ));
}
