//! [`Tensor`], which the host keeps, and [`Array`], which the guest reads.

use crate::{Element, ModelError, bindings::wasi::nn::tensor};

/// An input: the host's copy of some numbers. It counts against the instance's quota until it is dropped or used.
#[derive(Debug)]
pub struct Tensor(pub(crate) tensor::Tensor);

impl Tensor {
    /// Hands `data`, row-major, to the host. Several dimensions may be 0; an empty shape is one number.
    ///
    /// # Errors
    /// [`ModelError::Shape`] when the shape has another number of elements.
    pub fn new<T: Element>(shape: &[usize], data: &[T]) -> Result<Self, ModelError> {
        let wrong = || ModelError::Shape {
            shape: shape.to_vec(),
            length: data.len(),
        };
        let dimensions = dimensions(shape, data.len()).ok_or_else(wrong)?;
        Ok(Self(tensor::Tensor::new(
            &dimensions,
            T::TYPE,
            bytemuck::cast_slice(data),
        )))
    }
}

/// The shape in wasi-nn's numbers, if it has that many elements.
fn dimensions(shape: &[usize], elements: usize) -> Option<Vec<u32>> {
    let product = shape
        .iter()
        .try_fold(1_usize, |product, &size| product.checked_mul(size))?;
    let sizes = shape.iter().map(|&size| u32::try_from(size).ok());
    (product == elements).then(|| sizes.collect())?
}

/// An output: numbers in the guest's memory, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct Array<T> {
    /// Its dimensions, outermost first.
    pub shape: Vec<usize>,
    /// As many numbers as the shape says.
    pub data: Vec<T>,
}

impl<T: Element> Array<T> {
    /// The numbers in little-endian `bytes`, if they are as many as the shape says.
    pub(crate) fn from_bytes(shape: Vec<usize>, bytes: &[u8]) -> Option<Self> {
        let elements = shape
            .iter()
            .try_fold(1_usize, |product, &size| product.checked_mul(size))?;
        if elements.checked_mul(size_of::<T>())? != bytes.len() {
            return None;
        }
        // Memory of the guest need not be aligned for T.
        let data = bytes.chunks_exact(size_of::<T>()).map(bytemuck::pod_read_unaligned);
        Some(Self {
            data: data.collect(),
            shape,
        })
    }

    /// The slices along the outermost dimension: the rows of a matrix, the items of a batch.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[T]> {
        let rows = self.shape.first().copied().unwrap_or(1);
        let row = self.data.len().checked_div(rows).unwrap_or(0);
        (0..rows).map(move |index| &self.data[index * row..(index + 1) * row])
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_shape_must_have_as_many_elements() {
        assert_eq!(dimensions(&[2, 3], 6), Some(vec![2, 3]));
        assert_eq!(dimensions(&[], 1), Some(vec![]));
        assert_eq!(dimensions(&[0, 7], 0), Some(vec![0, 7]));
        assert_eq!(dimensions(&[2, 3], 5), None);
        assert_eq!(dimensions(&[usize::MAX, 2], 2), None);
    }

    #[test]
    fn bytes_become_numbers_only_when_they_fit() {
        let bytes: Vec<u8> = [1.0_f32, -2.0].iter().flat_map(|number| number.to_le_bytes()).collect();
        let array = Array::<f32>::from_bytes(vec![2, 1], &bytes).unwrap();
        assert_eq!(array.data, [1.0, -2.0]);
        assert_eq!(array.rows().collect::<Vec<_>>(), [[1.0], [-2.0]]);
        assert_eq!(Array::<f32>::from_bytes(vec![3], &bytes), None);
        assert_eq!(Array::<f32>::from_bytes(vec![usize::MAX, 2], &bytes), None);
        assert_eq!(Array::<u8>::from_bytes(vec![8], &bytes).unwrap().data, bytes);
    }

    #[test]
    fn empty_arrays_have_empty_rows() {
        let none = Array::<f32>::from_bytes(vec![0, 4], &[]).unwrap();
        assert_eq!(none.rows().len(), 0);
        let flat = Array::<f32>::from_bytes(vec![3, 0], &[]).unwrap();
        assert_eq!(flat.rows().map(<[f32]>::len).collect::<Vec<_>>(), [0, 0, 0]);
    }
}
