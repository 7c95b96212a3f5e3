//! [`ElementType`]: the numeric types that cross the seam. Strings, complex numbers and sub-byte types do not.

use std::{fmt, str::FromStr};

/// Type of a tensor's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ElementType {
    /// IEEE 754 binary16.
    F16,
    /// bfloat16: the upper half of a binary32.
    Bf16,
    /// IEEE 754 binary32.
    F32,
    /// IEEE 754 binary64.
    F64,
    /// Unsigned, 8 bits.
    U8,
    /// Signed, 8 bits.
    I8,
    /// Unsigned, 16 bits.
    U16,
    /// Signed, 16 bits.
    I16,
    /// Unsigned, 32 bits.
    U32,
    /// Signed, 32 bits.
    I32,
    /// Unsigned, 64 bits.
    U64,
    /// Signed, 64 bits.
    I64,
    /// One byte: 0 is false, anything else is true.
    Bool,
}

impl ElementType {
    /// Every element type.
    pub const ALL: [Self; 13] = [
        Self::F16,
        Self::Bf16,
        Self::F32,
        Self::F64,
        Self::U8,
        Self::I8,
        Self::U16,
        Self::I16,
        Self::U32,
        Self::I32,
        Self::U64,
        Self::I64,
        Self::Bool,
    ];

    /// Bytes of one element: 1, 2, 4 or 8.
    #[must_use]
    pub const fn size_bytes(self) -> usize {
        match self {
            Self::U8 | Self::I8 | Self::Bool => 1,
            Self::F16 | Self::Bf16 | Self::U16 | Self::I16 => 2,
            Self::F32 | Self::U32 | Self::I32 => 4,
            Self::F64 | Self::U64 | Self::I64 => 8,
        }
    }

    /// The lower-case name: `f32`, `i64`, `bool`...
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
            Self::F32 => "f32",
            Self::F64 => "f64",
            Self::U8 => "u8",
            Self::I8 => "i8",
            Self::U16 => "u16",
            Self::I16 => "i16",
            Self::U32 => "u32",
            Self::I32 => "i32",
            Self::U64 => "u64",
            Self::I64 => "i64",
            Self::Bool => "bool",
        }
    }
}

impl fmt::Display for ElementType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for ElementType {
    type Err = UnknownElementType;

    /// Reads the name that `Display` writes.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|element_type| element_type.name() == text)
            .ok_or_else(|| UnknownElementType {
                text: text.chars().take(32).collect(),
            })
    }
}

/// A text that names no element type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an element type")]
pub struct UnknownElementType {
    text: String,
}

impl UnknownElementType {
    /// One line telling the user what to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let names: Vec<_> = ElementType::ALL
            .iter()
            .map(|element_type| element_type.name())
            .collect();
        Some(format!("use one of {}", names.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn names_round_trip_and_are_distinct() {
        for element_type in ElementType::ALL {
            assert_eq!(element_type.to_string().parse::<ElementType>().unwrap(), element_type);
        }
        let error = "F32".parse::<ElementType>().unwrap_err();
        assert!(error.hint().unwrap().contains("f32"));
    }
}
