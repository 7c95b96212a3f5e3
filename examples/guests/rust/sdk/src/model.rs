//! [`Model`]: opened by the name that the signed artifact gives it, run with named tensors.

use crate::{
    Array, Element, ModelError, Tensor,
    bindings::wasi::nn::{
        graph::{self, Graph},
        tensor,
    },
};

/// An open model. The host keeps one copy of its weights for all guests that use it.
#[derive(Debug)]
pub struct Model {
    name: String,
    graph: Graph,
}

impl Model {
    /// Opens the model that the guest's artifact lists, or its operator grants, under `name`. The first guest on a node that
    /// opens a model waits until it is loaded.
    ///
    /// # Errors
    /// The guest has no such model, or the host cannot load it.
    pub fn open(name: &str) -> Result<Self, ModelError> {
        let graph = graph::load_by_name(name).map_err(|error| ModelError::from_host(name, &error))?;
        Ok(Self {
            name: name.to_owned(),
            graph,
        })
    }

    /// Computes; every input of the model is given by name.
    ///
    /// # Errors
    /// The inputs do not fit the model, a quota is used up, or the host fails.
    pub fn run<'a>(&self, inputs: impl IntoIterator<Item = (&'a str, Tensor)>) -> Result<Outputs, ModelError> {
        let inputs = inputs.into_iter().map(|(name, tensor)| (name.to_owned(), tensor.0));
        let outputs = self
            .graph
            .init_execution_context()
            .and_then(|context| context.compute(inputs.collect()))
            .map_err(|error| ModelError::from_host(&self.name, &error))?;
        let outputs = outputs.into_iter().map(|(name, tensor)| Output {
            model: self.name.clone(),
            name,
            tensor,
        });
        Ok(Outputs {
            outputs: outputs.collect(),
            model: self.name.clone(),
        })
    }
}

/// What a model gave. The host keeps it until this is dropped.
#[derive(Debug)]
pub struct Outputs {
    model: String,
    outputs: Vec<Output>,
}

impl Outputs {
    /// The outputs in the model's order.
    pub fn iter(&self) -> std::slice::Iter<'_, Output> {
        self.outputs.iter()
    }

    /// The output called `name`, if there is one.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Output> {
        self.iter().find(|output| output.name == name)
    }

    /// The numbers of the output called `name`.
    ///
    /// # Errors
    /// [`ModelError::Output`] when there is none of that name, or it holds other numbers than `T`.
    pub fn array<T: Element>(&self, name: &str) -> Result<Array<T>, ModelError> {
        let missing = || ModelError::Output {
            model: self.model.clone(),
            text: format!(
                "no output {name} in {:?}",
                self.iter().map(Output::name).collect::<Vec<_>>()
            ),
        };
        self.get(name).ok_or_else(missing)?.array()
    }
}

impl<'a> IntoIterator for &'a Outputs {
    type Item = &'a Output;
    type IntoIter = std::slice::Iter<'a, Output>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// One output, still with the host.
#[derive(Debug)]
pub struct Output {
    model: String,
    name: String,
    tensor: tensor::Tensor,
}

impl Output {
    /// Its name in the model.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its dimensions, outermost first. A size that this machine cannot address becomes `usize::MAX`.
    #[must_use]
    pub fn shape(&self) -> Vec<usize> {
        let sizes = self.tensor.dimensions().into_iter();
        sizes.map(|size| usize::try_from(size).unwrap_or(usize::MAX)).collect()
    }

    /// Copies its numbers into the guest.
    ///
    /// # Errors
    /// [`ModelError::Output`] when it holds other numbers than `T`, or not as many as its shape says.
    pub fn array<T: Element>(&self) -> Result<Array<T>, ModelError> {
        let wrong = |text| ModelError::Output {
            model: self.model.clone(),
            text,
        };
        let found = self.tensor.ty();
        if found != T::TYPE {
            return Err(wrong(format!(
                "output {} holds {found:?}, not {:?}",
                self.name,
                T::TYPE
            )));
        }
        let (shape, bytes) = (self.shape(), self.tensor.data());
        let text = format!("output {} of shape {shape:?} has {} bytes", self.name, bytes.len());
        Array::from_bytes(shape, &bytes).ok_or_else(|| wrong(text))
    }
}
