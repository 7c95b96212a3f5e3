//! The functions themselves: pointers checked first, then the session, then the result written. A result's place is
//! checked before there is a result, so that no graph or context is made that the guest cannot name.

use dunlin_host_gpu::ElementType;
use wasmtime::{AsContext as _, AsContextMut as _, Caller};

use super::{
    memory::{Memory, write},
    number,
};
use crate::nn::{NnError, NnState, NnView, session::MAX_NAME_BYTES};

/// Longest configuration of a model that is looked at.
const MAX_CONFIG_BYTES: usize = 64 << 10;
/// One more than any tensor has.
const MAX_DIMS: u32 = 65;
/// Where WasmEdge's guests put a model's settings, as JSON in a tensor of bytes.
const METADATA_INDEX: u32 = 1;

const GRAPH: &str = "the place for the graph";
const CONTEXT: &str = "the place for the execution context";
const WRITTEN: &str = "the place for the size written";
const BUILDERS: &str = "the model's parts";
const BUFFER: &str = "the output buffer";
const TENSOR: &str = "the tensor";
const DATA: &str = "the tensor's data";

pub(super) async fn load<T: NnView>(
    caller: &mut Caller<'_, T>,
    (builders, count, encoding, target, out): (u32, u32, u32, u32, u32),
) -> Result<(), NnError> {
    let memory = Memory::of(caller)?;
    memory.check_word(&mut *caller, GRAPH, out)?;
    let (encoding, target) = (number::encoding(encoding)?, number::target(target)?);
    if count != 1 {
        return Err(NnError::ModelParts {
            given: usize::try_from(count).unwrap_or(usize::MAX),
        });
    }
    let at = memory.word(&mut *caller, BUILDERS, builders)?;
    let len = memory.word(&mut *caller, BUILDERS, next_word(builders, 1)?)?;
    let view = memory.bytes(caller.as_context(), BUILDERS, at, len)?;
    let grant = caller.data().nn().session.pay_for_load(view.len())?;
    let bytes = view.to_vec();
    let session = &mut caller.data_mut().nn_mut().session;
    let graph = session.load(grant, encoding, target, bytes).await?;
    memory.write_word(&mut *caller, GRAPH, out, graph)
}

pub(super) async fn load_by_name<T: NnView>(
    caller: &mut Caller<'_, T>,
    (at, len, out): (u32, u32, u32),
) -> Result<(), NnError> {
    let memory = Memory::of(caller)?;
    memory.check_word(&mut *caller, GRAPH, out)?;
    let name = memory
        .text(caller.as_context(), "the model's name", (at, len), MAX_NAME_BYTES)?
        .to_owned();
    let graph = caller.data_mut().nn_mut().session.open(&name).await?;
    memory.write_word(&mut *caller, GRAPH, out, graph)
}

/// The settings are those of WasmEdge's language models; others have none, so they are checked and not used.
pub(super) async fn load_by_name_with_config<T: NnView>(
    caller: &mut Caller<'_, T>,
    (at, len, config, config_len, out): (u32, u32, u32, u32, u32),
) -> Result<(), NnError> {
    let memory = Memory::of(caller)?;
    let place = (config, config_len);
    memory.text(
        caller.as_context(),
        "the model's configuration",
        place,
        MAX_CONFIG_BYTES,
    )?;
    load_by_name(caller, (at, len, out)).await
}

pub(super) fn init_context<T: NnView>(caller: &mut Caller<'_, T>, graph: u32, out: u32) -> Result<(), NnError> {
    let memory = Memory::of(caller)?;
    memory.check_word(&mut *caller, CONTEXT, out)?;
    let NnState { session, contexts, .. } = caller.data_mut().nn_mut();
    let context = session.init_context(graph)?;
    contexts.insert(context, graph);
    memory.write_word(&mut *caller, CONTEXT, out, context)
}

/// A tensor's record is five words: dimensions (pointer, length), type (one byte), data (pointer, length).
pub(super) fn set_input<T: NnView>(
    caller: &mut Caller<'_, T>,
    context: u32,
    index: u32,
    record: u32,
) -> Result<(), NnError> {
    let memory = Memory::of(caller)?;
    let mut words = [0; 5];
    for (position, word) in (0_u32..).zip(&mut words) {
        *word = memory.word(&mut *caller, TENSOR, next_word(record, position)?)?;
    }
    let [dims_at, dims_len, ty, data_at, data_len] = words;
    // The other three bytes of the word are padding, and may hold anything.
    let element_type = number::element_type(ty.to_le_bytes()[0])?;
    let NnState { session, contexts, .. } = caller.data_mut().nn_mut();
    contexts.check_loaded(session, context)?;
    let inputs = session.graph_of_context(context)?.graph.signature().inputs.len();
    let bytes_of_dims = dims_len.min(MAX_DIMS).saturating_mul(4);
    let dims: Vec<u32> = memory
        .bytes(caller.as_context(), "the tensor's dimensions", dims_at, bytes_of_dims)?
        .chunks_exact(4)
        .map(|dim| u32::from_le_bytes(dim.first_chunk().copied().unwrap_or_default()))
        .collect();
    if usize::try_from(index).is_ok_and(|index| index >= inputs) {
        let data = memory.bytes(caller.as_context(), DATA, data_at, data_len)?;
        return metadata(index, element_type, data);
    }
    let NnState { session, contexts, .. } = caller.data_mut().nn_mut();
    contexts.clear_input(session, context, index)?;
    let data = memory.bytes(caller.as_context(), DATA, data_at, data_len)?;
    let grant = caller
        .data()
        .nn()
        .session
        .pay_for_tensor(element_type, &dims, data.len())?;
    let held = grant.fill(data)?;
    let NnState { session, contexts, .. } = caller.data_mut().nn_mut();
    let tensor = session.keep_tensor(held)?;
    contexts.set_input(context, index, tensor)
}

/// Guests made for WasmEdge send settings to every model; one that has none passes them by. Any other input that the model
/// does not have is a mistake.
fn metadata(index: u32, element_type: ElementType, data: &[u8]) -> Result<(), NnError> {
    let is_json = data.trim_ascii_start().starts_with(b"{");
    if index == METADATA_INDEX && element_type == ElementType::U8 && is_json {
        return Ok(());
    }
    Err(NnError::BadNumber {
        what: "input",
        number: index,
    })
}

pub(super) async fn compute<T: NnView>(caller: &mut Caller<'_, T>, context: u32) -> Result<(), NnError> {
    let NnState { session, contexts, .. } = caller.data_mut().nn_mut();
    let inputs = contexts.begin(session, context)?;
    let outputs = session.begin(context, inputs)?.run().await?;
    let NnState { session, contexts, .. } = caller.data_mut().nn_mut();
    contexts.finish(session, context, outputs)
}

/// Copies an output to the guest's buffer. Where that is too short, the size needed is written all the same, and nothing
/// else.
pub(super) fn get_output<T: NnView>(
    caller: &mut Caller<'_, T>,
    (context, index): (u32, u32),
    (buffer, size): (u32, u32),
    written: u32,
) -> Result<(), NnError> {
    let memory = Memory::of(caller)?;
    memory.check_word(&mut *caller, WRITTEN, written)?;
    memory.bytes(caller.as_context(), BUFFER, buffer, size)?;
    let (guest, state) = memory.with_data(caller.as_context_mut());
    let NnState { session, contexts, .. } = state.nn();
    let tensor = contexts.output(context, index)?;
    let needed = session.tensor(tensor)?.data().len();
    let given = usize::try_from(size).unwrap_or(usize::MAX);
    let word = u32::try_from(needed).map_err(|_huge| NnError::ShortBuffer { needed, given })?;
    let fits = needed <= given;
    if fits {
        write(guest, BUFFER, buffer, session.read_tensor(tensor)?)?;
    }
    write(guest, WRITTEN, written, &word.to_le_bytes())?;
    if fits {
        return Ok(());
    }
    Err(NnError::ShortBuffer { needed, given })
}

pub(super) fn unload<T: NnView>(caller: &mut Caller<'_, T>, graph: u32) -> Result<(), NnError> {
    caller.data_mut().nn_mut().session.drop_graph(graph)
}

pub(super) fn finalize_context<T: NnView>(caller: &mut Caller<'_, T>, context: u32) -> Result<(), NnError> {
    let NnState { session, contexts, .. } = caller.data_mut().nn_mut();
    contexts.remove(session, context)
}

pub(super) fn language_only<T: NnView>(caller: &Caller<'_, T>, context: u32) -> Result<(), NnError> {
    let NnState { session, contexts, .. } = caller.data().nn();
    contexts.check_loaded(session, context)?;
    Err(NnError::NotLanguageModel)
}

/// The address of the word that is `position` words after `at`.
fn next_word(at: u32, position: u32) -> Result<u32, NnError> {
    at.checked_add(position * 4)
        .ok_or(NnError::OutOfBounds { what: TENSOR })
}
