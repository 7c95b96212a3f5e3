//! Whether a graph decides by the sizes of its inputs: with an `If`, or by comparing a size with a number. tract compares
//! symbols by their form, so that `n == 1` is false for every `n` once it is typed with symbols; such graphs are typed for
//! the shapes at hand instead.

use std::collections::{HashMap, HashSet};

use tract_onnx::pb::{self, tensor_proto::DataType};

/// Operators through which a size stays a size, or a number made of sizes.
const CARRIERS: [&str; 21] = [
    "Abs",
    "Add",
    "Cast",
    "Concat",
    "Div",
    "Expand",
    "Flatten",
    "Gather",
    "Identity",
    "Max",
    "Min",
    "Mod",
    "Mul",
    "Neg",
    "ReduceProd",
    "ReduceSum",
    "Reshape",
    "Slice",
    "Squeeze",
    "Sub",
    "Unsqueeze",
];
/// Operators that compare.
const COMPARISONS: [&str; 5] = ["Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"];

/// Whether what `graph` computes can depend on a comparison of sizes. Comparisons with negative constants do not count:
/// exporters ask `dim == -1`, and no size is.
pub(super) fn decide(graph: &pb::GraphProto) -> bool {
    let mut graphs = vec![graph];
    let mut nodes = Vec::new();
    let mut constants: HashMap<&str, &pb::TensorProto> = HashMap::new();
    while let Some(graph) = graphs.pop() {
        constants.extend(graph.initializer.iter().map(|tensor| (tensor.name.as_str(), tensor)));
        for node in &graph.node {
            graphs.extend(
                node.attribute
                    .iter()
                    .flat_map(|attribute| attribute.g.iter().chain(&attribute.graphs)),
            );
            if node.op_type == "Constant"
                && let (Some(output), Some(value)) = (
                    node.output.first(),
                    node.attribute.iter().find_map(|attribute| attribute.t.as_ref()),
                )
            {
                constants.insert(output, value);
            }
            nodes.push(node);
        }
    }
    let mut sizes: HashSet<&str> = HashSet::new();
    for node in nodes {
        let takes_size = node.input.iter().any(|input| sizes.contains(input.as_str()));
        match node.op_type.as_str() {
            "If" => return true,
            "Shape" | "Size" => sizes.extend(node.output.iter().map(String::as_str)),
            op if takes_size && CARRIERS.contains(&op) => sizes.extend(node.output.iter().map(String::as_str)),
            op if takes_size && COMPARISONS.contains(&op) => {
                let with_negative = node
                    .input
                    .iter()
                    .any(|input| constants.get(input.as_str()).is_some_and(|c| is_negative(c)));
                if !with_negative {
                    return true;
                }
            }
            _ => {}
        }
    }
    false
}

fn is_negative(tensor: &pb::TensorProto) -> bool {
    let bytes = &tensor.raw_data;
    let sign = |width: usize| {
        bytes
            .chunks_exact(width)
            .all(|number| number.last().is_some_and(|byte| byte & 0x80 != 0))
    };
    match DataType::try_from(tensor.data_type) {
        Ok(DataType::Int64) => !bytes.is_empty() && sign(8),
        Ok(DataType::Int32) => !bytes.is_empty() && sign(4),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(op_type: &str, inputs: &[&str], output: &str) -> pb::NodeProto {
        pb::NodeProto {
            op_type: op_type.into(),
            input: inputs.iter().map(|&name| name.to_owned()).collect(),
            output: vec![output.into()],
            ..Default::default()
        }
    }

    fn graph(constant: i64, nodes: Vec<pb::NodeProto>) -> pb::GraphProto {
        let initializer = vec![pb::TensorProto {
            name: "k".into(),
            dims: vec![1],
            data_type: DataType::Int64 as i32,
            raw_data: constant.to_le_bytes().to_vec(),
            ..Default::default()
        }];
        pb::GraphProto {
            node: nodes,
            initializer,
            ..Default::default()
        }
    }

    #[test]
    fn comparing_a_size_with_a_number_decides() {
        let nodes = || {
            vec![
                node("Shape", &["x"], "s"),
                node("Gather", &["s", "i"], "n"),
                node("Equal", &["n", "k"], "c"),
            ]
        };
        assert!(decide(&graph(1, nodes())));
        assert!(!decide(&graph(-1, nodes())));
        assert!(!decide(&graph(1, vec![node("Equal", &["x", "k"], "c")])));
    }

    #[test]
    fn a_conditional_decides() {
        assert!(decide(&graph(0, vec![node("If", &["flag"], "y")])));
    }
}
