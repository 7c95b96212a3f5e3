//! Host tensors: [`ElementType`], [`Tensor`] and [`NamedTensor`]. A tensor's bytes are row-major and little-endian, and
//! their length always equals the product of the shape times the element size: no other tensor can be built.

mod element;

use std::{fmt, sync::Arc};

pub use element::{ElementType, UnknownElementType};

/// NumPy stops at 64 dimensions too, and no ONNX operator needs more.
const MAX_RANK: usize = 64;

/// A dense tensor: element type, shape, and shared bytes (row-major, little-endian). Cloning shares the bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Tensor {
    element_type: ElementType,
    shape: Vec<usize>,
    data: Arc<Vec<u8>>,
}

impl Tensor {
    /// Builds a tensor over `data`. Rank 0 (an empty `shape`) is a scalar and holds one element; a dimension of 0 makes
    /// an empty tensor.
    ///
    /// # Errors
    /// When the rank is over 64, when the byte size of the shape overflows, and when `data` is not exactly that long.
    pub fn new(element_type: ElementType, shape: Vec<usize>, data: Arc<Vec<u8>>) -> Result<Self, TensorError> {
        let expected = Self::byte_len(element_type, &shape)?;
        if data.len() != expected {
            return Err(TensorError::Length {
                element_type,
                shape,
                expected,
                given: data.len(),
            });
        }
        Ok(Self {
            element_type,
            shape,
            data,
        })
    }

    /// The bytes that a dense tensor takes: what to check, and charge to a budget, before allocating one.
    ///
    /// # Errors
    /// When the rank is over 64 or the product overflows. A zero dimension does not excuse an overflow among the others:
    /// an engine's strides would overflow all the same.
    pub fn byte_len(element_type: ElementType, shape: &[usize]) -> Result<usize, TensorError> {
        if shape.len() > MAX_RANK {
            return Err(TensorError::Rank { rank: shape.len() });
        }
        let bytes = shape
            .iter()
            .map(|&dim| dim.max(1))
            .try_fold(element_type.size_bytes(), usize::checked_mul)
            .filter(|&bytes| isize::try_from(bytes).is_ok())
            .ok_or_else(|| TensorError::TooLarge {
                element_type,
                shape: shape.to_vec(),
            })?;
        Ok(if shape.contains(&0) { 0 } else { bytes })
    }

    /// The type of every element.
    #[must_use]
    pub fn element_type(&self) -> ElementType {
        self.element_type
    }

    /// The dimensions, outermost first; empty for a scalar.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The elements' bytes: row-major, little-endian, without padding.
    #[must_use]
    pub fn data(&self) -> &Arc<Vec<u8>> {
        &self.data
    }

    /// Number of elements: 1 for a scalar, 0 when a dimension is 0.
    #[must_use]
    pub fn element_count(&self) -> usize {
        self.data.len() / self.element_type.size_bytes()
    }

    /// Gives the parts back, without copying.
    #[must_use]
    pub fn into_parts(self) -> (ElementType, Vec<usize>, Arc<Vec<u8>>) {
        (self.element_type, self.shape, self.data)
    }
}

impl fmt::Debug for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Tensor({}{:?}, {} bytes)",
            self.element_type,
            self.shape,
            self.data.len()
        )
    }
}

/// A tensor and the name of the model input or output that it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedTensor {
    /// Name of the graph input or output.
    pub name: String,
    /// Its value.
    pub tensor: Tensor,
}

/// Why a tensor could not be built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TensorError {
    /// More dimensions than any engine takes.
    #[error("a tensor of rank {rank} is over the limit of {MAX_RANK} dimensions")]
    Rank {
        /// Rank asked for.
        rank: usize,
    },
    /// The shape's byte size does not fit the address space.
    #[error("a tensor {element_type}{shape:?} is larger than the address space")]
    TooLarge {
        /// Type of the elements.
        element_type: ElementType,
        /// Shape asked for.
        shape: Vec<usize>,
    },
    /// The data's length does not match the shape.
    #[error("a tensor {element_type}{shape:?} takes {expected} bytes, but {given} were given")]
    Length {
        /// Type of the elements.
        element_type: ElementType,
        /// Shape asked for.
        shape: Vec<usize>,
        /// Bytes that the shape takes.
        expected: usize,
        /// Bytes given.
        given: usize,
    },
}

impl TensorError {
    /// One line telling the user what to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Length { element_type, .. } => Some(format!(
                "the data must be row-major, little-endian, {} byte(s) per element",
                element_type.size_bytes()
            )),
            Self::Rank { .. } | Self::TooLarge { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn scalar_holds_one_element_and_zero_dim_none() {
        let scalar = Tensor::new(ElementType::F32, vec![], Arc::new(vec![0; 4])).unwrap();
        assert_eq!(scalar.element_count(), 1);
        let empty = Tensor::new(ElementType::I64, vec![3, 0], Arc::new(vec![])).unwrap();
        assert_eq!(empty.element_count(), 0);
        assert_eq!(scalar.into_parts(), (ElementType::F32, vec![], Arc::new(vec![0; 4])));
    }

    #[test]
    fn length_must_be_exact() {
        for given in [0, 23, 25] {
            let error = Tensor::new(ElementType::F32, vec![2, 3], Arc::new(vec![0; given])).unwrap_err();
            assert!(matches!(error, TensorError::Length { expected: 24, given: g, .. } if g == given));
            assert!(error.hint().unwrap().contains("4 byte"));
        }
    }

    #[test]
    fn overflow_and_rank_are_refused_before_any_allocation() {
        let huge = vec![usize::MAX, 2];
        assert!(matches!(
            Tensor::byte_len(ElementType::U8, &huge),
            Err(TensorError::TooLarge { .. })
        ));
        assert!(matches!(
            Tensor::byte_len(ElementType::F64, &[usize::MAX / 8, 1]),
            Err(TensorError::TooLarge { .. })
        ));
        assert!(matches!(
            Tensor::byte_len(ElementType::U8, &[0, usize::MAX, 2]),
            Err(TensorError::TooLarge { .. })
        ));
        assert!(matches!(
            Tensor::byte_len(ElementType::U8, &[1; 65]),
            Err(TensorError::Rank { rank: 65 })
        ));
        assert_eq!(Tensor::byte_len(ElementType::U8, &[1; 64]).unwrap(), 1);
    }
}
