//! Graphs that load: fixed and open shapes, quantised tables, external data, and what the signature says of them.

use std::{collections::BTreeMap, sync::Arc};

use dunlin_host_gpu::{ComputeError, Dim, ElementType, ModelBytes};
use tract_onnx::pb::{GraphProto, StringStringEntryProto, tensor_proto::DataType};

use crate::builder::{
    D, With as _, compute, engines, f32s, floats, graph, i64s, initializer, ints, load, named, node, source, value,
    values,
};

fn adder(dims: &[D]) -> GraphProto {
    graph(
        vec![node("Add", &["x", "w"], &["y"])],
        vec![floats("w", &[2], &[10.0, 20.0])],
        vec![value("x", DataType::Float, dims)],
        vec![value("y", DataType::Float, dims)],
    )
}

#[test]
fn a_fixed_graph_computes() {
    let graph = load(adder(&[D::N(1), D::N(2)])).unwrap();
    assert_eq!(graph.engine(), "tract");
    let outputs = compute(&*graph, vec![f32s("x", &[1, 2], &[1.0, 2.0])]).unwrap();
    assert_eq!(
        (outputs[0].name.as_str(), outputs[0].tensor.shape()),
        ("y", &[1, 2][..])
    );
    assert_eq!(values(&outputs[0]), [11.0, 22.0]);
}

#[test]
fn an_open_batch_takes_any_size_any_number_of_times() {
    let graph = load(adder(&[D::S("batch"), D::N(2)])).unwrap();
    let spec = &graph.signature().inputs[0];
    assert_eq!(spec.to_string(), "x: f32[batch, 2]");
    assert_eq!(graph.signature().outputs[0].to_string(), "y: f32[batch, 2]");
    // More shapes than plans are kept, each often enough to get a plan of its own.
    for round in 0..3_u8 {
        for batch in 1..12 {
            let x: Vec<f32> = (0..batch * 2)
                .map(|index| f32::from(round) + f32::from(u8::try_from(index).unwrap()))
                .collect();
            let outputs = compute(&*graph, vec![f32s("x", &[batch, 2], &x)]).unwrap();
            let expected: Vec<f32> = x
                .iter()
                .enumerate()
                .map(|(index, x)| x + [10.0, 20.0][index % 2])
                .collect();
            assert_eq!(values(&outputs[0]), expected);
        }
    }
    let empty = compute(&*graph, vec![f32s("x", &[0, 2], &[])]).unwrap();
    assert_eq!(empty[0].tensor.shape(), [0, 2]);
}

#[test]
fn unnamed_dimensions_are_independent() {
    let nodes = vec![node("MatMul", &["a", "b"], &["y"])];
    let dims = [D::N(-1), D::S("?")];
    let inputs = vec![value("a", DataType::Float, &dims), value("b", DataType::Float, &dims)];
    let graph = load(graph(
        nodes,
        vec![],
        inputs,
        vec![value("y", DataType::Float, &[D::S("m"), D::S("n")])],
    ))
    .unwrap();
    let inputs = vec![
        f32s("a", &[1, 2], &[1.0, 2.0]),
        f32s("b", &[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]),
    ];
    assert_eq!(values(&compute(&*graph, inputs).unwrap()[0]), [9.0, 12.0, 15.0]);
    let names: Vec<_> = graph
        .signature()
        .inputs
        .iter()
        .flat_map(|spec| spec.dims.clone().unwrap())
        .collect();
    let distinct: std::collections::HashSet<_> = names.iter().map(ToString::to_string).collect();
    assert_eq!(distinct.len(), 4);
    // The inner dimensions differ, on the plan for any shape and on one of its own.
    for _ in 0..3 {
        let mismatch = vec![f32s("a", &[1, 2], &[1.0, 2.0]), f32s("b", &[3, 1], &[1.0; 3])];
        let refused = compute(&*graph, mismatch);
        assert!(
            matches!(refused, Err(ComputeError::Engine { engine: "tract", .. })),
            "{refused:?}"
        );
    }
}

#[test]
fn initialised_inputs_are_weights() {
    let mut model = adder(&[D::N(2)]);
    model.input.push(value("w", DataType::Float, &[D::N(2)]));
    let graph = load(model).unwrap();
    assert_eq!(graph.signature().inputs.len(), 1);
    assert_eq!(
        values(&compute(&*graph, vec![f32s("x", &[2], &[0.0, 0.0])]).unwrap()[0]),
        [10.0, 20.0]
    );
}

#[test]
fn outputs_come_in_the_order_of_the_signature() {
    let nodes = vec![node("Neg", &["x"], &["minus"]), node("Abs", &["x"], &["plus"])];
    let output = |name| value(name, DataType::Float, &[D::N(1)]);
    let graph = load(graph(
        nodes,
        vec![],
        vec![output("x")],
        vec![output("plus"), output("minus"), output("x")],
    ))
    .unwrap();
    let outputs = compute(&*graph, vec![f32s("x", &[1], &[-3.0])]).unwrap();
    let all: Vec<_> = outputs
        .iter()
        .map(|output| (output.name.clone(), values(output)[0]))
        .collect();
    assert_eq!(
        all,
        [
            ("plus".to_owned(), 3.0),
            ("minus".to_owned(), 3.0),
            ("x".to_owned(), -3.0)
        ]
    );
}

#[test]
fn a_quantised_table_stays_small() {
    const ROWS: i64 = 40_000;
    const COLUMNS: i64 = 64;
    // Row r holds r % 100 - 50 everywhere, and is scaled by 0.5.
    let table: Vec<u8> = (0..ROWS * COLUMNS)
        .map(|i| i8::try_from((i / COLUMNS) % 100 - 50).unwrap().to_le_bytes()[0])
        .collect();
    let scales = vec![0.5; usize::try_from(ROWS).unwrap()];
    let nodes = vec![
        node("Cast", &["table"], &["wide"]).int("to", DataType::Float as i64),
        node("Mul", &["wide", "scale"], &["scaled"]),
        node("Gather", &["scaled", "ids"], &["y"]),
    ];
    let weights = vec![
        initializer("table", DataType::Int8, &[ROWS, COLUMNS], table),
        floats("scale", &[ROWS, 1], &scales),
    ];
    let dims = [D::S("batch"), D::S("length")];
    let output = value("y", DataType::Float, &[D::S("batch"), D::S("length"), D::N(COLUMNS)]);
    let graph = load(graph(
        nodes,
        weights,
        vec![value("ids", DataType::Int64, &dims)],
        vec![output],
    ))
    .unwrap();
    for _ in 0..3 {
        let outputs = compute(&*graph, vec![i64s("ids", &[1, 3], &[0, 123, 39_999])]).unwrap();
        let rows: Vec<f32> = values(&outputs[0]).chunks(64).map(|row| row[0]).collect();
        assert_eq!(rows, [-25.0, -13.5, 24.5]);
    }
    // The table takes 2.5 MB as it is, and 10 MB widened; template and plans share it.
    assert!(graph.resident_bytes() < 7_000_000, "{}", graph.resident_bytes());
}

#[test]
fn external_data_is_taken_from_the_files_that_came_along() {
    let mut model = adder(&[D::N(2)]);
    let entry = |key: &str, value: &str| StringStringEntryProto {
        key: key.into(),
        value: value.into(),
    };
    model.initializer[0].raw_data = vec![];
    model.initializer[0].data_location = Some(1);
    model.initializer[0].external_data = vec![entry("location", "w.bin"), entry("offset", "4"), entry("length", "8")];
    let mut source = source(model);
    let error = engines().load(&source).unwrap_err();
    assert_eq!(error.hint().unwrap(), "give the file `w.bin` along with the model");
    let bytes: Vec<u8> = [9.0_f32, 1.0, 2.0, 9.0]
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    source.external = BTreeMap::from([("w.bin".to_owned(), Arc::new(bytes) as ModelBytes)]);
    let graph = engines().load(&source).unwrap();
    assert_eq!(
        values(&compute(&*graph, vec![f32s("x", &[2], &[0.0, 0.0])]).unwrap()[0]),
        [1.0, 2.0]
    );
}

#[test]
fn metadata_is_kept() {
    let bytes = crate::builder::file(adder(&[D::N(2)]));
    let mut model = <tract_onnx::pb::ModelProto as prost::Message>::decode(&*bytes).unwrap();
    let entry = |key: &str, value: &str| StringStringEntryProto {
        key: key.into(),
        value: value.into(),
    };
    model.metadata_props = vec![entry("z", "1"), entry("a", "2")];
    let bytes = prost::Message::encode_to_vec(&model);
    let source = dunlin_host_gpu::ModelSource::new("m", dunlin_host_gpu::Encoding::Autodetect, Arc::new(bytes));
    let graph = engines().load(&source).unwrap();
    assert_eq!(
        graph.signature().metadata,
        [("z".to_owned(), "1".to_owned()), ("a".to_owned(), "2".to_owned())]
    );
}

#[test]
fn every_type_that_crosses_the_seam_comes_back() {
    let types = [
        (DataType::Float16, ElementType::F16),
        (DataType::Float, ElementType::F32),
        (DataType::Double, ElementType::F64),
        (DataType::Uint8, ElementType::U8),
        (DataType::Int8, ElementType::I8),
        (DataType::Uint16, ElementType::U16),
        (DataType::Int16, ElementType::I16),
        (DataType::Uint32, ElementType::U32),
        (DataType::Int32, ElementType::I32),
        (DataType::Uint64, ElementType::U64),
        (DataType::Int64, ElementType::I64),
        (DataType::Bool, ElementType::Bool),
    ];
    for (data_type, element_type) in types {
        let dims = [D::S("n")];
        let nodes = vec![node("Identity", &["x"], &["y"])];
        let model = graph(
            nodes,
            vec![],
            vec![value("x", data_type, &dims)],
            vec![value("y", data_type, &dims)],
        );
        let graph = load(model).unwrap();
        let x = named("x", element_type, &[2], vec![1; 2 * element_type.size_bytes()]);
        assert_eq!(
            compute(&*graph, vec![x.clone()]).unwrap()[0].tensor,
            x.tensor,
            "{element_type}"
        );
    }
}

#[test]
fn shapes_from_symbols_are_whole_numbers() {
    let nodes = vec![node("Shape", &["x"], &["s"]), node("Gather", &["s", "first"], &["n"])];
    let inputs = vec![value("x", DataType::Float, &[D::S("n"), D::N(2)])];
    let outputs = vec![
        value("n", DataType::Int64, &[]),
        value("s", DataType::Int64, &[D::N(2)]),
    ];
    let graph = load(graph(nodes, vec![ints("first", &[], &[0])], inputs, outputs)).unwrap();
    assert_eq!(graph.signature().outputs[1].dims, Some(vec![Dim::Fixed(2)]));
    for n in [3_usize, 5, 5, 5] {
        let outputs = compute(&*graph, vec![f32s("x", &[n, 2], &vec![0.0; n * 2])]).unwrap();
        let expected = i64s("n", &[], &[i64::try_from(n).unwrap()]);
        assert_eq!(outputs[0].tensor, expected.tensor);
    }
}
