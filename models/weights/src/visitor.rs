//! What a header tells, piece by piece: [`Tensor`]s, properties, files beside it.

use std::ops::Range;

use crate::Element;

/// A tensor as its header describes it. None of it is checked against the file's size or against other tensors.
#[derive(Debug, Clone)]
pub struct Tensor<'a> {
    /// Its name.
    pub name: &'a [u8],
    /// What it consists of.
    pub element: Element,
    /// How many elements it has; 1 for a scalar.
    pub elements: u64,
    /// Where its bytes lie in the file; empty when they are elsewhere or cannot be measured.
    pub bytes: Range<u64>,
}

/// Takes what a header tells. After an error, what came before it says nothing.
pub trait Visitor {
    /// A tensor that has values; activations are not told.
    fn tensor(&mut self, tensor: &Tensor<'_>);

    /// Something else that the header says, under the format's own name: keys of GGUF and of safetensors' metadata as they are;
    /// of ONNX `ir_version`, `producer`, `graph`, `opset`, `opset.<domain>` and the like. A list is told one by one.
    fn property(&mut self, _key: &str, _value: &str) {}

    /// A file in which tensors lie, as the header names it. May be told often, and may be hostile.
    fn external(&mut self, _location: &str) {}
}

/// All that a header tells, for the tests of its readers.
#[cfg(test)]
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) tensors: Vec<ToldTensor>,
    pub(crate) properties: Vec<(String, String)>,
    pub(crate) external: Vec<String>,
}

/// A [`Tensor`] that was told.
#[cfg(test)]
#[derive(Debug)]
pub(crate) struct ToldTensor {
    pub(crate) name: String,
    pub(crate) element: Element,
    pub(crate) elements: u64,
    pub(crate) bytes: Range<u64>,
}

#[cfg(test)]
impl Told {
    pub(crate) fn by(
        read: fn(&dyn crate::ReadAt, &mut dyn Visitor) -> Result<(), crate::HeaderError>,
        source: &dyn crate::ReadAt,
    ) -> Result<Self, crate::HeaderError> {
        let mut told = Self::default();
        read(source, &mut told).map(|()| told)
    }
}

#[cfg(test)]
impl Visitor for Told {
    fn tensor(&mut self, tensor: &Tensor<'_>) {
        self.tensors.push(ToldTensor {
            name: String::from_utf8_lossy(tensor.name).into_owned(),
            element: tensor.element,
            elements: tensor.elements,
            bytes: tensor.bytes.clone(),
        });
    }

    fn property(&mut self, key: &str, value: &str) {
        self.properties.push((key.to_owned(), value.to_owned()));
    }

    fn external(&mut self, location: &str) {
        self.external.push(location.to_owned());
    }
}
