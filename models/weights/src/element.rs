//! What tensors consist of: [`Element`], by the numbers and names of each format.

/// A type of tensor elements, or of blocks of quantised elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Element {
    name: &'static str,
    per_block: u16,
    block_bytes: u16,
}

/// A type of which nothing is known: its tensors cannot be measured.
const UNKNOWN: Element = element("?", 1, 0);

const F64: Element = element("F64", 1, 8);
const F32: Element = element("F32", 1, 4);
const F16: Element = element("F16", 1, 2);
const BF16: Element = element("BF16", 1, 2);
const F8: Element = element("F8", 1, 1);
const F4: Element = element("F4", 2, 1);
const I64: Element = element("I64", 1, 8);
const I32: Element = element("I32", 1, 4);
const I16: Element = element("I16", 1, 2);
const I8: Element = element("I8", 1, 1);
const I4: Element = element("I4", 2, 1);
const U64: Element = element("U64", 1, 8);
const U32: Element = element("U32", 1, 4);
const U16: Element = element("U16", 1, 2);
const U8: Element = element("U8", 1, 1);
const U4: Element = element("U4", 2, 1);
const C64: Element = element("C64", 1, 8);
const C128: Element = element("C128", 1, 16);
const BOOL: Element = element("BOOL", 1, 1);
const TEXT: Element = element("TEXT", 1, 0);

const fn element(name: &'static str, per_block: u16, block_bytes: u16) -> Element {
    Element {
        name,
        per_block,
        block_bytes,
    }
}

impl Element {
    /// The name, as `F32` or `Q4_K`; `?` for a type that is not known.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.name
    }

    /// Bytes of an element, or of a block of quantised ones; 0 where that is not known.
    #[must_use]
    pub fn width(self) -> u16 {
        self.block_bytes
    }

    /// Bytes of `count` elements; `None` where the type is not known, or they are more than can be counted.
    #[must_use]
    pub fn bytes(self, count: u64) -> Option<u64> {
        count
            .div_ceil(u64::from(self.per_block))
            .checked_mul(u64::from(self.block_bytes))
            .filter(|_| self.block_bytes > 0)
    }

    /// Whether elements share a scale with the others of their block.
    #[must_use]
    pub fn is_quantised(self) -> bool {
        self.per_block > 2
    }

    /// Whether such tensors are what people count as a model's parameters, rather than indices and flags.
    #[must_use]
    pub fn is_parameter(self) -> bool {
        !matches!(self.name, "I64" | "U64" | "BOOL" | "TEXT" | "?")
    }

    /// The name that ModelPack configs use for numbers of this type, as `fp32` or `int8`; `None` for quantised blocks,
    /// which have names of their own.
    #[must_use]
    pub fn precision(self) -> Option<&'static str> {
        Some(match self.name {
            "F64" => "fp64",
            "F32" => "fp32",
            "F16" => "fp16",
            "BF16" => "bf16",
            "F8" => "fp8",
            "F4" => "fp4",
            "I32" => "int32",
            "I16" => "int16",
            "I8" => "int8",
            "I4" => "int4",
            "U32" => "uint32",
            "U16" => "uint16",
            "U8" => "uint8",
            "U4" => "uint4",
            _ => return None,
        })
    }

    /// By the number of a ggml type (ggml.h, `enum ggml_type`, and ggml.c, `type_traits`).
    pub(crate) fn of_ggml(kind: u32) -> Self {
        match kind {
            0 => F32,
            1 => F16,
            2 => element("Q4_0", 32, 18),
            3 => element("Q4_1", 32, 20),
            6 => element("Q5_0", 32, 22),
            7 => element("Q5_1", 32, 24),
            8 => element("Q8_0", 32, 34),
            9 => element("Q8_1", 32, 36),
            10 => element("Q2_K", 256, 84),
            11 => element("Q3_K", 256, 110),
            12 => element("Q4_K", 256, 144),
            13 => element("Q5_K", 256, 176),
            14 => element("Q6_K", 256, 210),
            15 => element("Q8_K", 256, 292),
            16 => element("IQ2_XXS", 256, 66),
            17 => element("IQ2_XS", 256, 74),
            18 => element("IQ3_XXS", 256, 98),
            19 => element("IQ1_S", 256, 50),
            20 => element("IQ4_NL", 32, 18),
            21 => element("IQ3_S", 256, 110),
            22 => element("IQ2_S", 256, 82),
            23 => element("IQ4_XS", 256, 136),
            24 => I8,
            25 => I16,
            26 => I32,
            27 => I64,
            28 => F64,
            29 => element("IQ1_M", 256, 56),
            30 => BF16,
            34 => element("TQ1_0", 256, 54),
            35 => element("TQ2_0", 256, 66),
            39 => element("MXFP4", 32, 17),
            _ => UNKNOWN,
        }
    }

    /// By the name in a safetensors header.
    pub(crate) fn of_safetensors(dtype: &str) -> Self {
        match dtype {
            "F64" => F64,
            "F32" => F32,
            "F16" => F16,
            "BF16" => BF16,
            "F8_E4M3" | "F8_E5M2" | "F8_E8M0" => F8,
            "F4" => F4,
            "I64" => I64,
            "I32" => I32,
            "I16" => I16,
            "I8" => I8,
            "U64" => U64,
            "U32" => U32,
            "U16" => U16,
            "U8" => U8,
            "C64" => C64,
            "BOOL" => BOOL,
            _ => UNKNOWN,
        }
    }

    /// By the number of a `TensorProto.DataType` (onnx.proto).
    pub(crate) fn of_onnx(kind: u64) -> Self {
        match kind {
            1 => F32,
            2 => U8,
            3 => I8,
            4 => U16,
            5 => I16,
            6 => I32,
            7 => I64,
            8 => TEXT,
            9 => BOOL,
            10 => F16,
            11 => F64,
            12 => U32,
            13 => U64,
            14 => C64,
            15 => C128,
            16 => BF16,
            17..=20 | 24 => F8,
            21 => U4,
            22 => I4,
            23 => F4,
            _ => UNKNOWN,
        }
    }

    /// By the number of a `TensorType` (TensorFlow Lite, schema.fbs).
    pub(crate) fn of_tflite(kind: u8) -> Self {
        match kind {
            0 => F32,
            1 => F16,
            2 => I32,
            3 => U8,
            4 => I64,
            5 => TEXT,
            6 => BOOL,
            7 => I16,
            8 => C64,
            9 => I8,
            10 => F64,
            11 => C128,
            12 => U64,
            15 => U32,
            16 => U16,
            17 => I4,
            18 => BF16,
            _ => UNKNOWN,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_those_of_the_formats() {
        assert_eq!(Element::of_ggml(12).bytes(257), Some(288));
        assert_eq!(Element::of_safetensors("F4").bytes(3), Some(2));
        assert_eq!(Element::of_onnx(16).bytes(3), Some(6));
        assert_eq!(Element::of_tflite(9).bytes(3), Some(3));
        assert_eq!(Element::of_ggml(99).bytes(3), None);
        assert_eq!(F64.bytes(u64::MAX), None);
    }

    #[test]
    fn parameters_are_numbers_that_are_learnt() {
        assert!(F16.is_parameter() && I8.is_parameter() && Element::of_ggml(12).is_parameter());
        assert!(!I64.is_parameter() && !BOOL.is_parameter() && !UNKNOWN.is_parameter());
        assert!(Element::of_ggml(2).is_quantised() && !I4.is_quantised());
        assert_eq!(Element::of_ggml(2).precision(), None);
        assert_eq!(BF16.precision(), Some("bf16"));
    }
}
