//! Inputs whose values decide the form of the graph: which branch of an `If` is taken, which axes are reduced, what shape
//! a `Reshape` gives. tract wants to know such values when it types the graph, so that a plan is made per value.

use std::collections::{HashMap, HashSet};

use tract_onnx::pb;

use crate::{signature::TensorSpec, tensor::ElementType};

/// Positions of the inputs that decide the form of the graph: scalars and vectors only.
pub(super) fn find(graph: &pb::GraphProto, inputs: &[TensorSpec]) -> Vec<usize> {
    let mut maker: HashMap<&str, &pb::NodeProto> = HashMap::new();
    for node in &graph.node {
        maker.extend(node.output.iter().map(|output| (output.as_str(), node)));
    }
    let direct: Vec<&str> = graph.node.iter().flat_map(decided_by).collect();
    let mut reached = HashSet::new();
    let mut open = direct.clone();
    while let Some(name) = open.pop() {
        if reached.insert(name)
            && let Some(node) = maker.get(name)
            // A shape is known without any value.
            && !matches!(node.op_type.as_str(), "Shape" | "Size")
        {
            open.extend(node.input.iter().map(String::as_str));
        }
    }
    let is_switch = |spec: &TensorSpec| {
        let small = spec.dims.as_ref().is_some_and(|dims| dims.len() <= 1);
        small
            && match spec.element_type {
                ElementType::I64 | ElementType::I32 | ElementType::U8 | ElementType::I8 | ElementType::Bool => {
                    reached.contains(spec.name.as_str())
                }
                // Scales; a number that is computed with on the way is data.
                _ => direct.contains(&spec.name.as_str()),
            }
    };
    inputs
        .iter()
        .enumerate()
        .filter(|(_, spec)| is_switch(spec))
        .map(|(index, _)| index)
        .collect()
}

/// The inputs of a node whose values decide the form of its outputs.
fn decided_by(node: &pb::NodeProto) -> Vec<&str> {
    let positions: &[usize] = match node.op_type.as_str() {
        "If" => return decided_by_branches(node),
        "ConstantOfShape" | "BlackmanWindow" | "HammingWindow" | "HannWindow" => &[0],
        "Reshape" | "Expand" | "Tile" | "Squeeze" | "Unsqueeze" | "Split" | "TopK" | "Trilu" | "CumSum" => &[1],
        "DFT" | "OneHot" | "QuantizeLinear" | "DequantizeLinear" => &[1, 2],
        "Pad" | "Resize" => &[1, 2, 3],
        "STFT" => &[1, 3],
        "Slice" => &[1, 2, 3, 4],
        "MelWeightMatrix" => &[0, 1, 2, 3, 4],
        "QLinearConv" | "QLinearMatMul" => &[1, 2, 4, 5, 6, 7],
        reduction if reduction.starts_with("Reduce") => &[1],
        _ => &[],
    };
    positions
        .iter()
        .filter_map(|&position| node.input.get(position))
        .map(String::as_str)
        .collect()
}

/// The condition of an `If`, and, since a branch can hold another `If`, whatever its branches use from outside.
fn decided_by_branches(node: &pb::NodeProto) -> Vec<&str> {
    let mut names: Vec<&str> = node.input.iter().map(String::as_str).collect();
    let mut graphs: Vec<&pb::GraphProto> = node
        .attribute
        .iter()
        .filter_map(|attribute| attribute.g.as_ref())
        .collect();
    while let Some(graph) = graphs.pop() {
        for inner in &graph.node {
            if inner.op_type == "If" {
                names.extend(graph.node.iter().flat_map(|node| &node.input).map(String::as_str));
            }
            graphs.extend(inner.attribute.iter().filter_map(|attribute| attribute.g.as_ref()));
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signature::Dim;

    fn node(op_type: &str, inputs: &[&str], outputs: &[&str]) -> pb::NodeProto {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        pb::NodeProto {
            op_type: op_type.into(),
            input: names(inputs),
            output: names(outputs),
            ..Default::default()
        }
    }

    fn spec(name: &str, element_type: ElementType, rank: usize) -> TensorSpec {
        TensorSpec {
            name: name.into(),
            element_type,
            dims: Some(vec![Dim::Fixed(1); rank]),
        }
    }

    fn found(nodes: Vec<pb::NodeProto>, inputs: &[TensorSpec]) -> Vec<String> {
        let graph = pb::GraphProto {
            node: nodes,
            ..Default::default()
        };
        find(&graph, inputs)
            .into_iter()
            .map(|index| inputs[index].name.clone())
            .collect()
    }

    #[test]
    fn scalars_that_reach_a_condition_are_switches() {
        let nodes = vec![
            node("Equal", &["rate", "k"], &["is_16k"]),
            node("If", &["is_16k"], &["y"]),
            node("Mul", &["gain", "y"], &["z"]),
        ];
        let inputs = [
            spec("rate", ElementType::I64, 0),
            spec("gain", ElementType::I64, 0),
            spec("k", ElementType::I64, 2),
        ];
        assert_eq!(found(nodes, &inputs), ["rate"]);
    }

    #[test]
    fn nested_conditions_count() {
        let inner = pb::GraphProto {
            node: vec![node("Not", &["flag"], &["not_flag"]), node("If", &["not_flag"], &["y"])],
            ..Default::default()
        };
        let mut outer = node("If", &["c"], &["z"]);
        outer.attribute = vec![pb::AttributeProto {
            g: Some(inner),
            ..Default::default()
        }];
        let inputs = [spec("flag", ElementType::Bool, 0), spec("data", ElementType::F32, 0)];
        assert_eq!(found(vec![outer], &inputs), ["flag"]);
    }

    #[test]
    fn axes_and_shapes_are_switches_and_the_data_is_not() {
        let nodes = vec![
            node("Shape", &["ids"], &["ids_shape"]),
            node("Concat", &["ids_shape", "tail"], &["shape"]),
            node("Reshape", &["x", "shape"], &["r"]),
            node("ReduceSum", &["r", "axes"], &["y"]),
            node("Resize", &["y", "", "scales"], &["z"]),
            node("Mul", &["z", "gain"], &["out"]),
        ];
        let inputs = [
            spec("x", ElementType::F32, 1),
            spec("ids", ElementType::I64, 1),
            spec("tail", ElementType::I64, 1),
            spec("axes", ElementType::I64, 1),
            spec("scales", ElementType::F32, 1),
            spec("gain", ElementType::F32, 0),
        ];
        assert_eq!(found(nodes, &inputs), ["tail", "axes", "scales"]);
    }
}
