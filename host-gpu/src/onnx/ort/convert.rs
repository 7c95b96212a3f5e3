//! Tensors between the seam and onnxruntime: one copy each way, element by element in the types of Rust, so that
//! alignment and byte order are right without `unsafe`.

use std::sync::Arc;

use half::{bf16, f16};
use ort::value::{DynValue, PrimitiveTensorElementType, Tensor as OrtTensor, TensorElementType};

use crate::tensor::{ElementType, Tensor};

/// The element type of an onnxruntime type, where there is one.
pub(super) fn element_type(ty: TensorElementType) -> Option<ElementType> {
    Some(match ty {
        TensorElementType::Float16 => ElementType::F16,
        TensorElementType::Bfloat16 => ElementType::Bf16,
        TensorElementType::Float32 => ElementType::F32,
        TensorElementType::Float64 => ElementType::F64,
        TensorElementType::Uint8 => ElementType::U8,
        TensorElementType::Int8 => ElementType::I8,
        TensorElementType::Uint16 => ElementType::U16,
        TensorElementType::Int16 => ElementType::I16,
        TensorElementType::Uint32 => ElementType::U32,
        TensorElementType::Int32 => ElementType::I32,
        TensorElementType::Uint64 => ElementType::U64,
        TensorElementType::Int64 => ElementType::I64,
        TensorElementType::Bool => ElementType::Bool,
        _ => return None,
    })
}

/// A type of Rust that stands for an element type.
trait Element: PrimitiveTensorElementType + std::fmt::Debug + Copy + 'static {
    fn read(bytes: &[u8]) -> Self;
    fn write(self, bytes: &mut [u8]);
}

macro_rules! element {
    ($($ty:ty),*) => {$(
        impl Element for $ty {
            fn read(bytes: &[u8]) -> Self {
                let mut array = [0; size_of::<$ty>()];
                array.copy_from_slice(bytes);
                <$ty>::from_le_bytes(array)
            }

            fn write(self, bytes: &mut [u8]) {
                bytes.copy_from_slice(&self.to_le_bytes());
            }
        }
    )*};
}
element!(f16, bf16, f32, f64, u8, i8, u16, i16, u32, i32, u64, i64);

impl Element for bool {
    fn read(bytes: &[u8]) -> Self {
        bytes.iter().any(|&byte| byte != 0)
    }

    fn write(self, bytes: &mut [u8]) {
        bytes.fill(u8::from(self));
    }
}

macro_rules! dispatch {
    ($element_type:expr, $function:ident($($argument:expr),*)) => {
        match $element_type {
            ElementType::F16 => $function::<f16>($($argument),*),
            ElementType::Bf16 => $function::<bf16>($($argument),*),
            ElementType::F32 => $function::<f32>($($argument),*),
            ElementType::F64 => $function::<f64>($($argument),*),
            ElementType::U8 => $function::<u8>($($argument),*),
            ElementType::I8 => $function::<i8>($($argument),*),
            ElementType::U16 => $function::<u16>($($argument),*),
            ElementType::I16 => $function::<i16>($($argument),*),
            ElementType::U32 => $function::<u32>($($argument),*),
            ElementType::I32 => $function::<i32>($($argument),*),
            ElementType::U64 => $function::<u64>($($argument),*),
            ElementType::I64 => $function::<i64>($($argument),*),
            ElementType::Bool => $function::<bool>($($argument),*),
        }
    };
}

/// Copies a tensor in.
pub(super) fn to_ort(tensor: &Tensor) -> ort::Result<DynValue> {
    dispatch!(tensor.element_type(), to_typed(tensor))
}

fn to_typed<T: Element>(tensor: &Tensor) -> ort::Result<DynValue> {
    let elements: Vec<T> = tensor.data().chunks_exact(size_of::<T>()).map(T::read).collect();
    Ok(OrtTensor::from_array((tensor.shape().to_vec(), elements))?.into_dyn())
}

/// Copies a tensor out; `None` when its type cannot cross the seam.
pub(super) fn from_ort(value: &DynValue) -> ort::Result<Option<Tensor>> {
    let Some(element_type) = value.dtype().tensor_type().and_then(element_type) else {
        return Ok(None);
    };
    dispatch!(element_type, from_typed(value, element_type)).map(Some)
}

fn from_typed<T: Element>(value: &DynValue, element_type: ElementType) -> ort::Result<Tensor> {
    let (shape, elements) = value.try_extract_tensor::<T>()?;
    let shape: Vec<usize> = shape.iter().filter_map(|&dim| usize::try_from(dim).ok()).collect();
    let mut bytes = vec![0; size_of_val(elements)];
    for (to, from) in bytes.chunks_exact_mut(size_of::<T>()).zip(elements) {
        from.write(to);
    }
    Tensor::new(element_type, shape, Arc::new(bytes)).map_err(ort::Error::wrap)
}
