//! Names for the open dimensions of inputs: engines and signatures tell them apart by name, and parse names as
//! expressions, so that every open dimension gets a name, and no name is long.

use tract_onnx::pb::{self, tensor_shape_proto::dimension::Value as DimValue, type_proto::Value};

/// Long enough for the expressions that exporters write (`past_sequence_length + sequence_length`), short enough for any
/// parser.
const MAX_NAME_CHARS: usize = 64;

/// Names the dimensions of inputs and outputs that are negative, unnamed or named too long: `unk__0`, `unk__1`...
pub(super) fn name_all(graph: &mut pb::GraphProto) {
    let mut next = 0;
    for info in graph.input.iter_mut().chain(&mut graph.output) {
        let Some(Value::TensorType(tensor)) = info.r#type.as_mut().and_then(|r#type| r#type.value.as_mut()) else {
            continue;
        };
        for dim in tensor.shape.iter_mut().flat_map(|shape| &mut shape.dim) {
            let named = match &dim.value {
                Some(DimValue::DimValue(size)) => *size >= 0,
                Some(DimValue::DimParam(name)) => is_usable(name),
                None => false,
            };
            if !named {
                dim.value = Some(DimValue::DimParam(format!("unk__{next}")));
                next += 1;
            }
        }
    }
}

fn is_usable(name: &str) -> bool {
    !name.is_empty() && name != "?" && !name.starts_with("unk__") && name.chars().count() <= MAX_NAME_CHARS
}

#[cfg(test)]
mod tests {
    use tract_onnx::pb::{
        TensorShapeProto, TypeProto, ValueInfoProto, tensor_shape_proto::Dimension, type_proto::Tensor,
    };

    use super::*;

    #[test]
    fn every_open_dimension_gets_a_name_of_its_own() {
        let dims = [
            Some(DimValue::DimValue(-1)),
            None,
            Some(DimValue::DimParam("?".into())),
            Some(DimValue::DimParam("(".repeat(100_000))),
            Some(DimValue::DimParam("batch".into())),
            Some(DimValue::DimValue(0)),
        ];
        let dim = dims
            .into_iter()
            .map(|value| Dimension {
                denotation: String::new(),
                value,
            })
            .collect();
        let tensor = Tensor {
            elem_type: 1,
            shape: Some(TensorShapeProto { dim }),
        };
        let r#type = Some(TypeProto {
            denotation: String::new(),
            value: Some(Value::TensorType(tensor)),
        });
        let input = ValueInfoProto {
            name: "x".into(),
            r#type,
            ..Default::default()
        };
        let mut graph = pb::GraphProto {
            input: vec![input.clone(), input],
            ..Default::default()
        };
        name_all(&mut graph);
        let Some(Value::TensorType(tensor)) = graph.input[1].r#type.clone().and_then(|r#type| r#type.value) else {
            panic!("the type is gone")
        };
        let values: Vec<_> = tensor
            .shape
            .into_iter()
            .flat_map(|shape| shape.dim)
            .filter_map(|dim| dim.value)
            .collect();
        let name = |text: &str| DimValue::DimParam(text.to_owned());
        let expected = [
            name("unk__4"),
            name("unk__5"),
            name("unk__6"),
            name("unk__7"),
            name("batch"),
            DimValue::DimValue(0),
        ];
        assert_eq!(values, expected);
    }
}
