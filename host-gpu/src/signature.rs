//! What a graph takes and gives: [`Signature`], [`TensorSpec`] and [`Dim`]. Plain data, shown to users as
//! `name: f32[batch, 3, 224, 224]`; it never holds values.

use std::fmt;

use crate::tensor::ElementType;

/// One dimension of an input or output.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Dim {
    /// Always this size.
    Fixed(usize),
    /// Free: known when inputs are given. The same symbol is the same size everywhere in one compute. A dimension that
    /// the model leaves unnamed gets a unique name of the form `unk__N`.
    Symbol(String),
}

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(size) => write!(f, "{size}"),
            Self::Symbol(name) => f.write_str(name),
        }
    }
}

/// One input or output of a graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorSpec {
    /// Name by which a [`NamedTensor`](crate::NamedTensor) refers to it; unique among the inputs and among the outputs.
    pub name: String,
    /// Type of its elements.
    pub element_type: ElementType,
    /// Its dimensions, outermost first; `None` when even the rank is open.
    pub dims: Option<Vec<Dim>>,
}

impl fmt::Display for TensorSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.element_type)?;
        let Some(dims) = &self.dims else {
            return f.write_str("[..]");
        };
        f.write_str("[")?;
        for (axis, dim) in dims.iter().enumerate() {
            let comma = if axis == 0 { "" } else { ", " };
            write!(f, "{comma}{dim}")?;
        }
        f.write_str("]")
    }
}

/// The inputs and outputs of a graph, in the model's order, and what the model's file says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signature {
    /// Inputs, in the model's order. Initialised inputs (weights) are not among them.
    pub inputs: Vec<TensorSpec>,
    /// Outputs, in the model's order.
    pub outputs: Vec<TensorSpec>,
    /// Key-value pairs from the model's file, in its order; duplicates are kept as they lie. Untrusted text.
    pub metadata: Vec<(String, String)>,
}

impl Signature {
    /// The input called `name`.
    #[must_use]
    pub fn input(&self, name: &str) -> Option<&TensorSpec> {
        self.inputs.iter().find(|spec| spec.name == name)
    }

    /// The output called `name`.
    #[must_use]
    pub fn output(&self, name: &str) -> Option<&TensorSpec> {
        self.outputs.iter().find(|spec| spec.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn specs_read_as_users_write_them() {
        let mut spec = TensorSpec {
            name: "x".into(),
            element_type: ElementType::F32,
            dims: Some(vec![Dim::Symbol("batch".into()), Dim::Fixed(3)]),
        };
        assert_eq!(spec.to_string(), "x: f32[batch, 3]");
        spec.dims = Some(vec![]);
        assert_eq!(spec.to_string(), "x: f32[]");
        spec.dims = None;
        assert_eq!(spec.to_string(), "x: f32[..]");
    }
}
