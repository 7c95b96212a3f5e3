//! `wasi:nn/tensor`: one copy in, one copy out.

use std::sync::Arc;

use dunlin_host_gpu::ElementType;
use wasmtime::{
    StoreContextMut,
    component::{Linker, Resource, ResourceType, WasmList},
};

use super::{
    super::{NnError, NnView},
    interface,
    refusal::RefusedTensor,
    types::{TensorResource, TensorType},
};

pub(super) fn add_to_linker<T: NnView>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    let mut tensor = linker.instance(&interface("tensor"))?;
    tensor.resource("tensor", ResourceType::host::<TensorResource>(), |mut store, rep| {
        if RefusedTensor::of_rep(rep).is_none() {
            store
                .data_mut()
                .nn_mut()
                .session
                .drop_tensor(rep)
                .map_err(wasmtime::Error::new)?;
        }
        Ok(())
    })?;
    tensor.func_wrap("[constructor]tensor", construct::<T>)?;
    tensor.func_wrap(
        "[method]tensor.dimensions",
        |store, (tensor,): (Resource<TensorResource>,)| Ok((dimensions(store.data(), tensor.rep())?,)),
    )?;
    tensor.func_wrap("[method]tensor.ty", |store, (tensor,): (Resource<TensorResource>,)| {
        Ok((element_type(store.data(), tensor.rep())?,))
    })?;
    tensor.func_wrap(
        "[method]tensor.data",
        |store, (tensor,): (Resource<TensorResource>,)| Ok((data(store.data(), tensor.rep())?,)),
    )
}

type TensorParts = (WasmList<u32>, TensorType, WasmList<u8>);

fn construct<T: NnView>(
    mut store: StoreContextMut<'_, T>,
    (dims, ty, data): TensorParts,
) -> wasmtime::Result<(Resource<TensorResource>,)> {
    let rep = try_construct(&mut store, &dims, ty, &data).unwrap_or_else(|error| {
        tracing::debug!(%error, "a guest's tensor was refused");
        RefusedTensor { ty, code: error.code() }.rep()
    });
    Ok((Resource::new_own(rep),))
}

fn try_construct<T: NnView>(
    store: &mut StoreContextMut<'_, T>,
    dims: &WasmList<u32>,
    ty: TensorType,
    data: &WasmList<u8>,
) -> Result<u32, NnError> {
    let shape: Vec<u32> = dims
        .as_le_slice(&*store)
        .iter()
        .take(MAX_DIMS)
        .map(|&dim| u32::from_le(dim))
        .collect();
    let grant = store
        .data()
        .nn()
        .session
        .pay_for_tensor(ElementType::from(ty), &shape, data.len())?;
    let held = grant.fill(data.as_le_slice(&*store))?;
    store.data_mut().nn_mut().session.keep_tensor(held)
}

/// One more than any tensor has: a longer list is refused for its rank, without being copied whole.
const MAX_DIMS: usize = 65;

/// A refused tensor is empty, whatever was asked for.
fn dimensions<T: NnView>(state: &T, rep: u32) -> wasmtime::Result<Vec<u32>> {
    if RefusedTensor::of_rep(rep).is_some() {
        return Ok(vec![0]);
    }
    let tensor = state.nn().session.tensor(rep).map_err(wasmtime::Error::new)?;
    // A dimension over 4 Gi exists only beside a dimension of 0; the interface has no number for it.
    Ok(tensor
        .shape()
        .iter()
        .map(|&dim| u32::try_from(dim).unwrap_or(u32::MAX))
        .collect())
}

fn element_type<T: NnView>(state: &T, rep: u32) -> wasmtime::Result<TensorType> {
    if let Some(refused) = RefusedTensor::of_rep(rep) {
        return Ok(refused.ty);
    }
    let tensor = state.nn().session.tensor(rep).map_err(wasmtime::Error::new)?;
    TensorType::of(tensor.element_type())
        .ok_or_else(|| wasmtime::format_err!("a tensor of type {} has no name in wasi-nn", tensor.element_type()))
}

/// Lowered from the shared bytes straight into the guest's memory.
fn data<T: NnView>(state: &T, rep: u32) -> wasmtime::Result<Arc<Vec<u8>>> {
    if RefusedTensor::of_rep(rep).is_some() {
        return Ok(Arc::default());
    }
    let data = state.nn().session.read_tensor(rep);
    data.map(Arc::clone).map_err(wasmtime::Error::new)
}

/// The handle of a tensor that exists, or why it was refused when it was made.
pub(super) fn usable(rep: u32) -> Result<u32, NnError> {
    match RefusedTensor::of_rep(rep) {
        Some(refused) => Err(refused.error()),
        None => Ok(rep),
    }
}
