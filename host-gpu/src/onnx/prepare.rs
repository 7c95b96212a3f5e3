//! What happens to an ONNX file before an engine sees it: its wire format is walked under caps, then it is decoded, its
//! external data is brought in, and every tensor in it is checked against its data and rewritten to raw little-endian
//! bytes. Nothing is evaluated here.

mod dims;
mod error;
mod external;
mod scan;
mod tensors;
mod types;

use std::collections::BTreeSet;

use prost::Message as _;
use tract_onnx::pb;

pub use error::PrepareError;
use external::ExternalData;
pub(crate) use tensors::tensor_from_proto;

use crate::{
    backend::ModelSource,
    engines::ModelLimits,
    signature::{Dim, TensorSpec},
    tensor::{ElementType, NamedTensor},
};

/// A decoded model that keeps the promises of this module.
pub(super) struct Prepared {
    pub(super) proto: pb::ModelProto,
    /// Inputs that must be given: initialised ones are weights.
    pub(super) inputs: Vec<TensorSpec>,
    /// Outputs as the file declares them, which it need not do in full.
    pub(super) outputs: Vec<DeclaredOutput>,
    pub(super) metadata: Vec<(String, String)>,
}

/// An output as far as the file declares it.
pub(super) struct DeclaredOutput {
    pub(super) name: String,
    pub(super) element_type: Option<ElementType>,
    pub(super) dims: Option<Vec<Dim>>,
}

/// Walks the wire format under the limits, and allocates nothing that depends on it. Enough for an engine that decodes
/// the file on its own.
pub(super) fn scan(source: &ModelSource, limits: &ModelLimits) -> Result<(), PrepareError> {
    scan::scan((*source.bytes).as_ref(), limits)
}

/// Decodes, checks and normalises a model.
pub(super) fn prepare(source: &ModelSource, limits: &ModelLimits) -> Result<Prepared, PrepareError> {
    scan(source, limits)?;
    let mut proto = pb::ModelProto::decode((*source.bytes).as_ref())?;
    let mut graph = proto.graph.take().ok_or(PrepareError::NoGraph)?;
    let external = ExternalData::new(&source.external);
    tensors::normalise(&mut graph, &external, limits)?;
    dims::name_all(&mut graph);
    let initialised: BTreeSet<&str> = graph.initializer.iter().map(|tensor| tensor.name.as_str()).collect();
    let inputs = graph
        .input
        .iter()
        .filter(|input| !initialised.contains(input.name.as_str()))
        .map(types::input_spec)
        .collect::<Result<Vec<_>, _>>()?;
    check_names("input", inputs.iter().map(|input| input.name.as_str()))?;
    let outputs = graph
        .output
        .iter()
        .map(types::declared_output)
        .collect::<Result<Vec<_>, _>>()?;
    check_names("output", outputs.iter().map(|output| output.name.as_str()))?;
    check_outputs_exist(&graph)?;
    separate_outputs(&mut graph);
    let metadata = proto
        .metadata_props
        .drain(..)
        .map(|entry| (entry.key, entry.value))
        .collect();
    proto.graph = Some(graph);
    Ok(Prepared {
        proto,
        inputs,
        outputs,
        metadata,
    })
}

/// The initialisers whose data lies in other files, for an engine that decodes the main file on its own.
pub(super) fn external_tensors(source: &ModelSource) -> Result<Vec<NamedTensor>, PrepareError> {
    if source.external.is_empty() {
        return Ok(Vec::new());
    }
    let proto = pb::ModelProto::decode((*source.bytes).as_ref())?;
    let external = ExternalData::new(&source.external);
    tensors::external(proto.graph.as_ref().ok_or(PrepareError::NoGraph)?, &external)
}

/// The files, beside its own, that an ONNX model keeps tensors in: plain relative names as the model uses them, without
/// `./`, each once. For callers that hold a bare file and must bring [`ModelSource::external`] together themselves.
///
/// # Errors
/// The bytes are no ONNX model, or over a limit.
pub fn external_files(bytes: &[u8]) -> Result<Vec<String>, PrepareError> {
    scan::scan(bytes, &ModelLimits::default())?;
    let proto = pb::ModelProto::decode(bytes)?;
    let mut names = BTreeSet::new();
    let mut graphs: Vec<&pb::GraphProto> = proto.graph.iter().collect();
    while let Some(graph) = graphs.pop() {
        names.extend(graph.initializer.iter().filter_map(external::location));
        for attribute in graph.node.iter().flat_map(|node| &node.attribute) {
            names.extend(
                attribute
                    .t
                    .iter()
                    .chain(&attribute.tensors)
                    .filter_map(external::location),
            );
            graphs.extend(attribute.g.iter().chain(&attribute.graphs));
        }
    }
    Ok(names.into_iter().map(str::to_owned).collect())
}

/// Gives outputs that are inputs a node of their own: engines keep one fact per tensor, and what is declared of the output
/// would take the place of the input's.
fn separate_outputs(graph: &mut pb::GraphProto) {
    let inputs: BTreeSet<String> = graph.input.iter().map(|input| input.name.clone()).collect();
    let mut copies = Vec::new();
    for (index, output) in graph
        .output
        .iter_mut()
        .enumerate()
        .filter(|(_, output)| inputs.contains(&output.name))
    {
        let copy = format!("{}/output/{index}", output.name);
        copies.push(pb::NodeProto {
            op_type: "Identity".to_owned(),
            name: copy.clone(),
            input: vec![std::mem::replace(&mut output.name, copy.clone())],
            output: vec![copy],
            ..Default::default()
        });
    }
    graph.node.extend(copies);
}

fn check_names<'a>(kind: &'static str, names: impl Iterator<Item = &'a str>) -> Result<(), PrepareError> {
    let mut seen = BTreeSet::new();
    for name in names {
        if name.is_empty() {
            return Err(PrepareError::Unnamed { kind });
        }
        if !seen.insert(name) {
            return Err(PrepareError::DuplicateName {
                kind,
                name: name.to_owned(),
            });
        }
    }
    Ok(())
}

/// Engines index their tables by output name, so that a dangling one is a panic rather than an error.
fn check_outputs_exist(graph: &pb::GraphProto) -> Result<(), PrepareError> {
    let mut made: BTreeSet<&str> = graph
        .node
        .iter()
        .flat_map(|node| &node.output)
        .map(String::as_str)
        .collect();
    made.extend(graph.input.iter().map(|input| input.name.as_str()));
    made.extend(graph.initializer.iter().map(|tensor| tensor.name.as_str()));
    match graph.output.iter().find(|output| !made.contains(output.name.as_str())) {
        Some(output) => Err(PrepareError::DanglingOutput {
            name: output.name.clone(),
        }),
        None if graph.output.is_empty() => Err(PrepareError::NoOutputs),
        None => Ok(()),
    }
}
