//! [`Summary`]: how many tensors of which types a model has, and what else its header says.

use std::collections::{BTreeMap, BTreeSet};

use crate::{Element, Format, HeaderError, ReadAt, Tensor, Visitor};

/// Most properties that are kept.
const MAX_PROPERTIES: usize = 1024;
/// Most names of files with tensors that are kept: more than an artifact can hold.
const MAX_EXTERNAL: usize = 1024;

/// What the header of a file says, or the headers of a model's shards together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    tensors: u64,
    elements: BTreeMap<Element, u64>,
    properties: Vec<(String, String)>,
    external: BTreeSet<String>,
}

impl Summary {
    /// Reads the header of `source` as a file of `format`.
    ///
    /// # Errors
    /// As [`Format::read`].
    pub fn read(format: Format, source: &dyn ReadAt) -> Result<Self, HeaderError> {
        let mut summary = Self::default();
        format.read(source, &mut summary)?;
        Ok(summary)
    }

    /// Adds another shard of the same model; what both say of the whole, the first one says.
    pub fn add(&mut self, shard: Self) {
        self.tensors = self.tensors.saturating_add(shard.tensors);
        for (element, count) in shard.elements {
            let sum = self.elements.entry(element).or_default();
            *sum = sum.saturating_add(count);
        }
        if self.properties.is_empty() {
            self.properties = shard.properties;
        }
        self.external.extend(shard.external);
    }

    /// Number of tensors with values.
    #[must_use]
    pub fn tensors(&self) -> u64 {
        self.tensors
    }

    /// Number of elements of each type.
    pub fn elements(&self) -> impl Iterator<Item = (Element, u64)> {
        self.elements.iter().map(|(element, count)| (*element, *count))
    }

    /// Number of parameters: elements of types that are learnt.
    #[must_use]
    pub fn parameters(&self) -> u64 {
        let counts = self.elements().filter(|(element, _)| element.is_parameter());
        counts.fold(0, |sum, (_, count)| sum.saturating_add(count))
    }

    /// The type of most parameters; the one that sorts first where several are of equal number.
    #[must_use]
    pub fn main_element(&self) -> Option<(Element, u64)> {
        let parameters = self.elements().filter(|(element, _)| element.is_parameter());
        parameters.reduce(|most, next| if next.1 > most.1 { next } else { most })
    }

    /// What the header says beside tensors, in its own order; see [`Visitor::property`] for the names.
    #[must_use]
    pub fn properties(&self) -> &[(String, String)] {
        &self.properties
    }

    /// The first value of a property.
    #[must_use]
    pub fn value(&self, key: &str) -> Option<&str> {
        let mut named = self.properties.iter().filter(|(name, _)| name == key);
        named.next().map(|(_, value)| value.as_str())
    }

    /// All values of a property that is a list.
    pub fn values<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        let named = self.properties.iter().filter(move |(name, _)| name == key);
        named.map(|(_, value)| value.as_str())
    }

    /// Files in which tensors lie, as the header names them: nothing says that such a name is safe.
    pub fn external_files(&self) -> impl Iterator<Item = &str> {
        self.external.iter().map(String::as_str)
    }
}

impl Visitor for Summary {
    fn tensor(&mut self, tensor: &Tensor<'_>) {
        self.tensors += 1;
        let sum = self.elements.entry(tensor.element).or_default();
        *sum = sum.saturating_add(tensor.elements);
    }

    fn property(&mut self, key: &str, value: &str) {
        if self.properties.len() < MAX_PROPERTIES {
            self.properties.push((key.to_owned(), value.to_owned()));
        }
    }

    fn external(&mut self, location: &str) {
        if self.external.len() < MAX_EXTERNAL {
            self.external.insert(location.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(tensors: &[(u32, u64)]) -> Summary {
        let mut summary = Summary::default();
        for (kind, elements) in tensors {
            summary.tensor(&Tensor {
                name: b"",
                element: Element::of_ggml(*kind),
                elements: *elements,
                bytes: 0..0,
            });
        }
        summary
    }

    #[test]
    fn shards_add_up() {
        let mut whole = summary(&[(0, 10), (27, 1000)]);
        whole.property("name", "first");
        let mut second = summary(&[(12, 256), (0, 20)]);
        second.property("name", "second");
        second.external("w.data");
        whole.add(second);
        assert_eq!((whole.tensors(), whole.parameters()), (4, 286));
        assert_eq!(whole.main_element(), Some((Element::of_ggml(12), 256)));
        assert_eq!(whole.value("name"), Some("first"));
        assert_eq!(whole.external_files().collect::<Vec<_>>(), ["w.data"]);
        whole.add(summary(&[(0, u64::MAX)]));
        assert_eq!(whole.parameters(), u64::MAX);
    }
}
