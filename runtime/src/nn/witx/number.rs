//! The numbers of encodings, targets and element types as core modules pass them: wasi-nn's witx file, and WasmEdge's
//! additions to it. They are not those of the WIT file.

use dunlin_host_gpu::{ElementType, Encoding};

use crate::{models::ExecutionTarget, nn::NnError};

/// A model's encoding. A language model in GGML is none that this host loads from bytes.
pub(super) fn encoding(number: u32) -> Result<Encoding, NnError> {
    Ok(match number {
        0 => Encoding::Openvino,
        1 => Encoding::Onnx,
        2 => Encoding::Tensorflow,
        3 => Encoding::Pytorch,
        4 => Encoding::Tensorflowlite,
        5 => Encoding::Autodetect,
        6 => return Err(NnError::NotLanguageModel),
        // WasmEdge's 7 to 14 are engines of its own.
        _ => return Err(NnError::BadEncoding { number }),
    })
}

/// Where to compute. WasmEdge's AUTO (3) leaves it to the host, which decides anyway.
pub(super) fn target(number: u32) -> Result<ExecutionTarget, NnError> {
    Ok(match number {
        0 | 3 => ExecutionTarget::Cpu,
        1 => ExecutionTarget::Gpu,
        2 => ExecutionTarget::Tpu,
        _ => return Err(NnError::BadNumber { what: "target", number }),
    })
}

/// An element's type.
pub(super) fn element_type(number: u8) -> Result<ElementType, NnError> {
    Ok(match number {
        0 => ElementType::F16,
        1 => ElementType::F32,
        2 => ElementType::F64,
        3 => ElementType::U8,
        4 => ElementType::I32,
        5 => ElementType::I64,
        _ => {
            return Err(NnError::BadNumber {
                what: "tensor type",
                number: number.into(),
            });
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_numbers_are_errors() {
        assert!(matches!(encoding(6), Err(NnError::NotLanguageModel)));
        for number in [7, 14, 15, u32::MAX] {
            assert!(matches!(encoding(number), Err(NnError::BadEncoding { .. })));
        }
        assert!(target(4).is_err() && element_type(6).is_err());
        assert!(matches!(encoding(5), Ok(Encoding::Autodetect)));
    }
}
