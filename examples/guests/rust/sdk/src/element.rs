//! [`Element`]: the number types that tensors of wasi-nn and slices of Rust have in common.

use crate::bindings::wasi::nn::tensor::TensorType;

/// A number that a tensor can hold. Implemented for `f32`, `f64`, `u8`, `i32` and `i64`.
pub trait Element: bytemuck::Pod + sealed::Sealed {}

pub(crate) mod sealed {
    use super::TensorType;

    /// Keeps others from implementing [`Element`](super::Element): wasi-nn's list of types is closed.
    pub trait Sealed {
        /// The type's name in wasi-nn.
        const TYPE: TensorType;
    }
}

macro_rules! elements {
    ($($number:ty => $name:ident),*) => {
        $(
            impl sealed::Sealed for $number {
                const TYPE: TensorType = TensorType::$name;
            }
            impl Element for $number {}
        )*
    };
}

elements!(f32 => Fp32, f64 => Fp64, u8 => U8, i32 => I32, i64 => I64);
