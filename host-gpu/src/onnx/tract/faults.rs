//! What tract is known to compute wrongly without saying so, found by running the cases of the ONNX standard. Such nodes are
//! refused, so that another engine or an error takes the place of a wrong answer.

use tract_onnx::{
    pb,
    tract_hir::internal::{TractResult, bail},
};

/// Refuses a graph with a node that tract would compute wrongly.
pub(super) fn check(graph: &pb::GraphProto) -> TractResult<()> {
    let mut graphs = vec![graph];
    while let Some(graph) = graphs.pop() {
        for node in &graph.node {
            if let Some(form) = wrong_form(node) {
                bail!("{form} of {} (`{}`) is computed wrongly", node.op_type, node.name);
            }
            let attributes = node.attribute.iter();
            graphs.extend(attributes.flat_map(|attribute| attribute.g.iter().chain(&attribute.graphs)));
        }
    }
    Ok(())
}

fn wrong_form(node: &pb::NodeProto) -> Option<&'static str> {
    let attribute = |name: &str| node.attribute.iter().find(|attribute| attribute.name == name);
    let text_is = |name: &str, text: &str| attribute(name).is_some_and(|attribute| attribute.s == text.as_bytes());
    match node.op_type.as_str() {
        "LSTM" | "GRU" | "RNN" if text_is("direction", "reverse") => Some("the reverse direction"),
        "SpaceToDepth" if text_is("mode", "CRD") => Some("the CRD mode"),
        "Swish" if attribute("alpha").is_some_and(|alpha| (alpha.f - 1.0).abs() > f32::EPSILON) => Some("an alpha"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_wrong_forms_are_refused() {
        let node = |direction: &str| pb::NodeProto {
            op_type: "LSTM".into(),
            name: "rnn".into(),
            attribute: vec![pb::AttributeProto {
                name: "direction".into(),
                s: direction.as_bytes().to_vec(),
                ..Default::default()
            }],
            ..Default::default()
        };
        let graph = |node| pb::GraphProto {
            node: vec![node],
            ..Default::default()
        };
        assert!(check(&graph(node("forward"))).is_ok());
        let inner = pb::AttributeProto {
            g: Some(graph(node("reverse"))),
            ..Default::default()
        };
        let outer = pb::NodeProto {
            attribute: vec![inner],
            ..Default::default()
        };
        let refused = check(&graph(outer)).map_err(|fault| fault.to_string());
        assert_eq!(
            refused,
            Err("the reverse direction of LSTM (`rnn`) is computed wrongly".to_owned())
        );
    }
}
