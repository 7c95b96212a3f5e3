//! Where the tensors of a model file lie: [`Layout`], from the headers of model files.
//!
//! A layout only guides the search for what two files have in common. A file of no known format, or a malformed one,
//! has no tensors and is compared by its content; a layout that lies makes a delta longer, never wrong.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    io,
};

use dunlin_weights::{Format, HeaderError, Visitor};

use crate::ReadAt;

/// The bytes of one tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tensor {
    /// A hash of the name and the type: tensors of two files with the same key are compared.
    pub(crate) key: u64,
    pub(crate) start: u64,
    pub(crate) end: u64,
    /// Bytes of an element, or of a block of quantised elements.
    pub(crate) width: u16,
}

/// The tensors of a file in the order of their bytes, without overlaps and empty ones.
#[derive(Debug, Default)]
pub(crate) struct Layout {
    tensors: Vec<Tensor>,
}

impl Layout {
    /// Looks into `source`.
    ///
    /// # Errors
    /// When reading fails; a malformed file has no tensors.
    pub(crate) fn of(source: &dyn ReadAt) -> io::Result<Self> {
        for format in Format::ALL {
            let mut tensors = Tensors::default();
            match format.read(source, &mut tensors) {
                Ok(()) => return Ok(Self::new(tensors.0, source.size())),
                Err(HeaderError::Read(error)) => return Err(error),
                Err(_) => {}
            }
        }
        Ok(Self::default())
    }

    fn new(mut tensors: Vec<Tensor>, size: u64) -> Self {
        tensors.sort_unstable_by_key(|tensor| (tensor.start, tensor.end));
        let mut position = 0;
        tensors.retain(|tensor| {
            let keep = tensor.start >= position && tensor.start < tensor.end && tensor.end <= size;
            if keep {
                position = tensor.end;
            }
            keep
        });
        Self { tensors }
    }

    pub(crate) fn tensors(&self) -> &[Tensor] {
        &self.tensors
    }
}

/// Collects the tensors of a header.
#[derive(Default)]
struct Tensors(Vec<Tensor>);

impl Visitor for Tensors {
    fn tensor(&mut self, tensor: &dunlin_weights::Tensor<'_>) {
        let mut key = DefaultHasher::new();
        (tensor.name, tensor.element).hash(&mut key);
        self.0.push(Tensor {
            key: key.finish(),
            start: tensor.bytes.start,
            end: tensor.bytes.end,
            width: tensor.element.width().max(1),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(start: u64, end: u64) -> Tensor {
        Tensor {
            key: 0,
            start,
            end,
            width: 1,
        }
    }

    #[test]
    fn overlaps_and_lies_are_dropped() {
        let claimed = vec![
            tensor(50, 101),
            tensor(20, 30),
            tensor(0, 10),
            tensor(5, 15),
            tensor(30, 30),
            tensor(90, 80),
            tensor(30, 50),
        ];
        let layout = Layout::new(claimed, 100);
        assert_eq!(layout.tensors(), [tensor(0, 10), tensor(20, 30), tensor(30, 50)]);
    }
}
