//! A `TensorProto` on its own (`input_0.pb`), as ONNX test data keeps them. Raw and typed data; no external data.

use prost::Message as _;
use tract_onnx::pb::TensorProto;

use super::TensorFileError;
use crate::{onnx::tensor_from_proto, tensor::NamedTensor};

/// Decoding may take a few times what lies on the wire (typed fields widen), and no more.
const MAX_BYTES: usize = 1 << 31;

/// Reads a tensor and its name; the name may be empty.
///
/// # Errors
/// When the bytes are no such message, when the type cannot cross the seam (strings, complex numbers, sub-byte types),
/// when the data does not match the shape, and when it lies in another file.
pub fn read(bytes: &[u8]) -> Result<NamedTensor, TensorFileError> {
    if bytes.len() > MAX_BYTES {
        return Err(TensorFileError::TooLarge {
            bytes: bytes.len(),
            limit: MAX_BYTES,
        });
    }
    let proto = TensorProto::decode(bytes)?;
    Ok(tensor_from_proto(&proto)?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::tensor::ElementType;

    fn proto() -> TensorProto {
        TensorProto {
            name: "x".into(),
            data_type: 1,
            dims: vec![2],
            raw_data: vec![0, 0, 128, 63, 0, 0, 0, 64],
            ..Default::default()
        }
    }

    #[test]
    fn a_tensor_and_its_name_are_read() {
        let named = read(&proto().encode_to_vec()).unwrap();
        assert_eq!(
            (named.name.as_str(), named.tensor.element_type()),
            ("x", ElementType::F32)
        );
        assert_eq!(named.tensor.shape(), [2]);
    }

    #[test]
    fn hostile_bytes_are_errors() {
        let whole = proto().encode_to_vec();
        for len in 0..whole.len() {
            assert!(read(&whole[..len]).is_err(), "{len}");
        }
        for index in 0..whole.len() {
            for bit in 0..8 {
                let mut flipped = whole.clone();
                flipped[index] ^= 1 << bit;
                if let Ok(named) = read(&flipped) {
                    // A flipped dimension may be 0; whatever is read has the bytes of its shape.
                    let tensor = &named.tensor;
                    let expected = crate::tensor::Tensor::byte_len(tensor.element_type(), tensor.shape()).unwrap();
                    assert_eq!(tensor.data().len(), expected, "{index}.{bit}");
                }
            }
        }
        let mut elsewhere = proto();
        elsewhere.data_location = Some(1);
        assert!(read(&elsewhere.encode_to_vec()).unwrap_err().hint().is_some());
    }
}
