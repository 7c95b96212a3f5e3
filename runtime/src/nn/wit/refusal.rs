//! Handles that stand for no entry: an error code, and for a refused tensor its type, packed into the reserved numbers.
//! They cost the host nothing, so a guest cannot use refusals to fill a table.

use super::{super::handles::RESERVED, ErrorCode, NnError, types::TensorType};

const CODES: [ErrorCode; 9] = [
    ErrorCode::InvalidArgument,
    ErrorCode::InvalidEncoding,
    ErrorCode::Timeout,
    ErrorCode::RuntimeError,
    ErrorCode::UnsupportedOperation,
    ErrorCode::TooLarge,
    ErrorCode::NotFound,
    ErrorCode::Security,
    ErrorCode::Unknown,
];
const TYPES: [TensorType; 7] = [
    TensorType::Fp16,
    TensorType::Fp32,
    TensorType::Fp64,
    TensorType::Bf16,
    TensorType::U8,
    TensorType::I32,
    TensorType::I64,
];
/// The low bits hold the code, those above the tensor type.
const CODE_BITS: u32 = 4;

/// A tensor that the constructor refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RefusedTensor {
    pub(super) ty: TensorType,
    pub(super) code: ErrorCode,
}

impl RefusedTensor {
    pub(super) fn rep(self) -> u32 {
        rep(self.code) | (index_of(&TYPES, self.ty) << CODE_BITS)
    }

    pub(super) fn of_rep(rep: u32) -> Option<Self> {
        let code = code_of_rep(rep & !(0xf << CODE_BITS))?;
        let ty = usize::try_from((rep - RESERVED) >> CODE_BITS)
            .ok()
            .and_then(|index| TYPES.get(index))?;
        Some(Self { ty: *ty, code })
    }

    /// What the guest is told when it uses the tensor.
    pub(super) fn error(self) -> NnError {
        let why = match self.code {
            ErrorCode::TooLarge => "it does not fit the guest's quota of tensor memory",
            _ => "its dimensions, type and data do not match",
        };
        NnError::RefusedTensor { code: self.code, why }
    }
}

/// The handle of an error without a text.
pub(super) fn rep(code: ErrorCode) -> u32 {
    RESERVED | index_of(&CODES, code)
}

/// The code in a handle made by [`rep`]; `None` for every other handle.
pub(super) fn code_of_rep(rep: u32) -> Option<ErrorCode> {
    let index = usize::try_from(rep.checked_sub(RESERVED)?).ok()?;
    CODES.get(index).copied()
}

fn index_of<T: PartialEq>(all: &[T], one: T) -> u32 {
    // Both lists hold every case and are shorter than 16.
    all.iter()
        .position(|case| *case == one)
        .and_then(|index| u32::try_from(index).ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_types_survive_the_packing() {
        for code in CODES {
            assert_eq!(code_of_rep(rep(code)), Some(code));
            for ty in TYPES {
                let refused = RefusedTensor { ty, code };
                assert_eq!(RefusedTensor::of_rep(refused.rep()), Some(refused));
            }
        }
    }

    #[test]
    fn handles_of_entries_are_no_refusals() {
        for rep in [0, 1, RESERVED - 1, RESERVED + 9, u32::MAX] {
            assert_eq!(code_of_rep(rep), None);
        }
        for rep in [0, RESERVED - 1, RESERVED + 0x70, u32::MAX] {
            assert_eq!(RefusedTensor::of_rep(rep), None);
        }
    }
}
