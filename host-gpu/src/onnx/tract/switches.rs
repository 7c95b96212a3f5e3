//! Inputs that choose branches: scalar integers and booleans (a sample rate, a cache flag) on whose value the condition
//! of an `If` depends. Branches of different rank cannot be typed together, so that a plan is made per value.

use std::collections::{HashMap, HashSet};

use tract_onnx::pb;

use crate::{
    signature::{Dim, TensorSpec},
    tensor::ElementType,
};

/// Positions of the inputs that switch branches.
pub(super) fn find(graph: &pb::GraphProto, inputs: &[TensorSpec]) -> Vec<usize> {
    let mut maker: HashMap<&str, &pb::NodeProto> = HashMap::new();
    for node in &graph.node {
        maker.extend(node.output.iter().map(|output| (output.as_str(), node)));
    }
    let mut reached = HashSet::new();
    let mut open: Vec<&str> = graph
        .node
        .iter()
        .filter(|node| node.op_type == "If")
        .flat_map(decided_by)
        .collect();
    while let Some(name) = open.pop() {
        if reached.insert(name)
            && let Some(node) = maker.get(name)
        {
            open.extend(node.input.iter().map(String::as_str));
        }
    }
    let switches = |spec: &TensorSpec| is_scalar_switch(spec) && reached.contains(spec.name.as_str());
    inputs
        .iter()
        .enumerate()
        .filter(|(_, spec)| switches(spec))
        .map(|(index, _)| index)
        .collect()
}

/// The condition of an `If`, and, since a branch can hold another `If`, whatever its branches use from outside.
fn decided_by(node: &pb::NodeProto) -> Vec<&str> {
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

fn is_scalar_switch(spec: &TensorSpec) -> bool {
    let one_element = spec
        .dims
        .as_ref()
        .is_some_and(|dims| dims.iter().all(|dim| *dim == Dim::Fixed(1)));
    one_element
        && matches!(
            spec.element_type,
            ElementType::I64 | ElementType::I32 | ElementType::Bool
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(op_type: &str, inputs: &[&str], outputs: &[&str]) -> pb::NodeProto {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        pb::NodeProto {
            op_type: op_type.into(),
            input: names(inputs),
            output: names(outputs),
            ..Default::default()
        }
    }

    fn spec(name: &str, element_type: ElementType, dims: Vec<Dim>) -> TensorSpec {
        TensorSpec {
            name: name.into(),
            element_type,
            dims: Some(dims),
        }
    }

    #[test]
    fn scalars_that_reach_a_condition_are_switches() {
        let graph = pb::GraphProto {
            node: vec![
                node("Equal", &["rate", "k"], &["is_16k"]),
                node("If", &["is_16k"], &["y"]),
                node("Mul", &["gain", "y"], &["z"]),
            ],
            ..Default::default()
        };
        let inputs = [
            spec("rate", ElementType::I64, vec![]),
            spec("gain", ElementType::I64, vec![]),
            spec("k", ElementType::I64, vec![Dim::Fixed(2)]),
        ];
        assert_eq!(find(&graph, &inputs), [0]);
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
        let graph = pb::GraphProto {
            node: vec![outer],
            ..Default::default()
        };
        let inputs = [
            spec("flag", ElementType::Bool, vec![]),
            spec("c", ElementType::F32, vec![]),
        ];
        assert_eq!(find(&graph, &inputs), [0]);
    }
}
