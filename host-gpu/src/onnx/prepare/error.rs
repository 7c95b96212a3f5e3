//! [`PrepareError`]: why an ONNX file is refused before any engine sees it.

use crate::tensor::TensorError;

/// Why an ONNX file is refused: it is malformed, over a limit, or uses what cannot cross the seam.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PrepareError {
    /// The bytes are not a protobuf message of the ONNX schema.
    #[error("not an ONNX file: {what} at byte {offset}")]
    Wire {
        /// What is wrong.
        what: &'static str,
        /// Where.
        offset: usize,
    },
    /// The protobuf decoder refused.
    #[error("the ONNX file does not decode")]
    Decode(#[from] prost::DecodeError),
    /// The model has no graph.
    #[error("the ONNX file holds no graph")]
    NoGraph,
    /// The graph has no outputs.
    #[error("the graph has no outputs")]
    NoOutputs,
    /// More nodes than allowed.
    #[error("the graph has more than {limit} nodes")]
    TooManyNodes {
        /// Nodes allowed.
        limit: usize,
    },
    /// Sub-graphs nested more deeply than allowed.
    #[error("sub-graphs are nested more than {limit} deep")]
    TooDeep {
        /// Levels allowed.
        limit: usize,
    },
    /// Decoding would take far more memory than the file: no real model does.
    #[error("the decoded model would take more than {limit} bytes")]
    TooLarge {
        /// Bytes allowed.
        limit: usize,
    },
    /// An input or output has no name.
    #[error("an {kind} of the graph has no name")]
    Unnamed {
        /// `input` or `output`.
        kind: &'static str,
    },
    /// Two inputs, or two outputs, have the same name.
    #[error("two {kind}s of the graph are called `{name}`")]
    DuplicateName {
        /// `input` or `output`.
        kind: &'static str,
        /// The name.
        name: String,
    },
    /// An output that nothing makes.
    #[error("nothing makes the output `{name}`")]
    DanglingOutput {
        /// The output.
        name: String,
    },
    /// An input or output of a kind that cannot cross the seam.
    #[error("`{name}` is of type {given}, which is not supported")]
    UnsupportedType {
        /// The input, output or tensor.
        name: String,
        /// Its type.
        given: String,
    },
    /// A tensor's shape is impossible.
    #[error("tensor `{tensor}` has an impossible shape")]
    Shape {
        /// The tensor.
        tensor: String,
        /// What is wrong with it.
        source: TensorError,
    },
    /// A tensor is larger than allowed.
    #[error("tensor `{tensor}` takes {asked} bytes, over the limit of {limit}")]
    TensorTooLarge {
        /// The tensor.
        tensor: String,
        /// Bytes that it takes.
        asked: usize,
        /// Bytes allowed for one tensor.
        limit: u64,
    },
    /// A tensor has a negative dimension.
    #[error("tensor `{tensor}` has a dimension of {dim}")]
    NegativeDim {
        /// The tensor.
        tensor: String,
        /// The dimension.
        dim: i64,
    },
    /// A tensor's data is not as long as its shape says.
    #[error("tensor `{tensor}` takes {expected} bytes, but the file holds {given}")]
    DataLength {
        /// The tensor.
        tensor: String,
        /// Bytes that its shape takes.
        expected: usize,
        /// Bytes that the file holds.
        given: usize,
    },
    /// A tensor's data is in no file of this model.
    #[error("tensor `{tensor}` lies in the file `{location}`, which is not part of the model")]
    ExternalMissing {
        /// The tensor.
        tensor: String,
        /// The file's name, as the model gives it.
        location: String,
    },
    /// A tensor's data is at a place that is no plain relative name.
    #[error("tensor `{tensor}` lies at `{location}`, which is not a plain relative file name")]
    ExternalName {
        /// The tensor.
        tensor: String,
        /// The place, as the model gives it.
        location: String,
    },
    /// A tensor's data is outside its file, or its place does not parse.
    #[error("tensor `{tensor}` lies outside the {file_bytes} bytes of `{location}`")]
    ExternalRange {
        /// The tensor.
        tensor: String,
        /// The file's name.
        location: String,
        /// Length of the file.
        file_bytes: usize,
    },
    /// A single tensor's file refers to external data.
    #[error("tensor `{tensor}` refers to external data")]
    ExternalRefused {
        /// The tensor.
        tensor: String,
    },
}

impl PrepareError {
    /// One line telling the user what to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::ExternalMissing { location, .. } => Some(format!("give the file `{location}` along with the model")),
            Self::ExternalRefused { .. } => Some("save the tensor with its data inside the file".to_owned()),
            Self::Wire { .. } | Self::Decode(_) | Self::NoGraph => {
                Some("check that the file is a complete ONNX model".to_owned())
            }
            _ => None,
        }
    }
}
