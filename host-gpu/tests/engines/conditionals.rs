//! `If` in every form that exporters write it: on shapes, on inputs, nested, with branches of different rank.

use dunlin_host_gpu::{ElementType, Graph};
use tract_onnx::pb::{GraphProto, NodeProto, tensor_proto::DataType};

use crate::builder::{D, With as _, compute, f32s, graph, i64s, ints, load, named, node, value, values};

fn branch(node: NodeProto, output: &str) -> GraphProto {
    graph(
        vec![node],
        vec![],
        vec![],
        vec![value(output, DataType::Undefined, &[])],
    )
}

/// Squeezes the last axis of `x` when its size is 1, else passes `x` on, as exporters write `squeeze(-1)`.
fn squeeze_if_one() -> GraphProto {
    let then = branch(node("Squeeze", &["x", "last"], &["then_y"]), "then_y");
    let otherwise = branch(node("Identity", &["x"], &["else_y"]), "else_y");
    graph(
        vec![
            node("Shape", &["x"], &["shape"]),
            node("Gather", &["shape", "last"], &["size"]),
            node("Equal", &["size", "one"], &["is_one"]),
            node("If", &["is_one"], &["y"])
                .graph("then_branch", then)
                .graph("else_branch", otherwise),
            node("Neg", &["y"], &["z"]),
        ],
        vec![ints("last", &[1], &[-1]), ints("one", &[1], &[1])],
        vec![value("x", DataType::Float, &[D::S("a"), D::S("b")])],
        vec![value("z", DataType::Float, &[])],
    )
}

fn unranked(mut model: GraphProto) -> GraphProto {
    for output in &mut model.output {
        if let Some(tract_onnx::pb::type_proto::Value::TensorType(tensor)) =
            output.r#type.as_mut().and_then(|r#type| r#type.value.as_mut())
        {
            tensor.shape = None;
        }
    }
    model
}

#[test]
fn a_condition_on_shapes_chooses_between_ranks() {
    let graph = load(unranked(squeeze_if_one())).unwrap();
    assert_eq!(graph.signature().outputs[0].to_string(), "z: f32[..]");
    let squeezed = compute(&*graph, vec![f32s("x", &[2, 1], &[1.0, 2.0])]).unwrap();
    assert_eq!(
        (squeezed[0].tensor.shape(), values(&squeezed[0])),
        (&[2][..], vec![-1.0, -2.0])
    );
    let kept = compute(&*graph, vec![f32s("x", &[1, 2], &[1.0, 2.0])]).unwrap();
    assert_eq!(kept[0].tensor.shape(), [1, 2]);
}

/// Doubles or reshapes `x` depending on a sample rate.
fn on_rate() -> GraphProto {
    let then = branch(node("Add", &["x", "x"], &["then_y"]), "then_y");
    let otherwise = branch(node("Unsqueeze", &["x", "first"], &["else_y"]), "else_y");
    graph(
        vec![
            node("Equal", &["rate", "k16"], &["is_16k"]),
            node("If", &["is_16k"], &["y"])
                .graph("then_branch", then)
                .graph("else_branch", otherwise),
        ],
        vec![ints("k16", &[], &[16_000]), ints("first", &[1], &[0])],
        vec![
            value("x", DataType::Float, &[D::S("n")]),
            value("rate", DataType::Int64, &[]),
        ],
        vec![value("y", DataType::Float, &[])],
    )
}

fn shape_at(graph: &dyn Graph, rate: i64) -> Vec<usize> {
    let inputs = vec![f32s("x", &[2], &[1.0, 2.0]), i64s("rate", &[], &[rate])];
    compute(graph, inputs).unwrap()[0].tensor.shape().to_vec()
}

#[test]
fn a_scalar_input_switches_branches() {
    let graph = load(unranked(on_rate())).unwrap();
    for _ in 0..2 {
        assert_eq!(shape_at(&*graph, 16_000), [2]);
        assert_eq!(shape_at(&*graph, 8_000), [1, 2]);
    }
}

#[test]
fn a_condition_on_data_works_where_the_branches_agree() {
    let output = |name| vec![value(name, DataType::Float, &[D::N(2)])];
    let then = graph(vec![node("Neg", &["x"], &["then_y"])], vec![], vec![], output("then_y"));
    let otherwise = graph(vec![node("Abs", &["x"], &["else_y"])], vec![], vec![], output("else_y"));
    let nodes = vec![
        node("If", &["flag"], &["y"])
            .graph("then_branch", then)
            .graph("else_branch", otherwise),
    ];
    let inputs = vec![
        value("x", DataType::Float, &[D::N(2)]),
        value("flag", DataType::Bool, &[]),
    ];
    let graph = load(graph(nodes, vec![], inputs, output("y"))).unwrap();
    for (flag, expected) in [(1, [1.0, -2.0]), (0, [1.0, 2.0])] {
        let inputs = vec![
            f32s("x", &[2], &[-1.0, 2.0]),
            named("flag", ElementType::Bool, &[], vec![flag]),
        ];
        assert_eq!(values(&compute(&*graph, inputs).unwrap()[0]), expected);
    }
}

#[test]
fn conditions_nest() {
    let inner = NodeProto {
        name: "inner".into(),
        ..node("If", &["is_one"], &["inner_y"])
    }
    .graph("then_branch", branch(node("Squeeze", &["x", "last"], &["a"]), "a"))
    .graph("else_branch", branch(node("Identity", &["x"], &["b"]), "b"));
    let mut model = squeeze_if_one();
    let mut otherwise = branch(node("Identity", &["x"], &["c"]), "c");
    otherwise.node[0].name = "c_node".into();
    model.node[3] = node("If", &["is_one"], &["y"])
        .graph("then_branch", branch(inner, "inner_y"))
        .graph("else_branch", otherwise);
    let graph = load(unranked(model)).unwrap();
    assert_eq!(
        compute(&*graph, vec![f32s("x", &[3, 1], &[0.0; 3])]).unwrap()[0]
            .tensor
            .shape(),
        [3]
    );
    assert_eq!(
        compute(&*graph, vec![f32s("x", &[3, 2], &[0.0; 6])]).unwrap()[0]
            .tensor
            .shape(),
        [3, 2]
    );
}

#[test]
fn branches_that_disagree_on_the_number_of_outputs_are_refused() {
    let mut then = branch(node("Neg", &["x"], &["a"]), "a");
    then.output.push(value("a", DataType::Float, &[]));
    let nodes = vec![
        node("If", &["flag"], &["y"])
            .graph("then_branch", then)
            .graph("else_branch", branch(node("Abs", &["x"], &["b"]), "b")),
    ];
    let inputs = vec![
        value("x", DataType::Float, &[D::N(2)]),
        value("flag", DataType::Bool, &[]),
    ];
    assert!(load(graph(nodes, vec![], inputs, vec![value("y", DataType::Float, &[])])).is_err());
}
