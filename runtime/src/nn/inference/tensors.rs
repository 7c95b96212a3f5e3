//! `dunlin:inference/tensors`: one copy in, one copy out, and none in between.

use std::sync::Arc;

use wasmtime::{
    StoreContextMut,
    component::{Linker, Resource, ResourceType, WasmList},
};

use super::{
    super::{NnError, NnView, Session},
    error::Error,
    interface,
    types::{ElementType, TensorResource},
};

type This = (Resource<TensorResource>,);
type Made = wasmtime::Result<(Result<Resource<TensorResource>, Error>,)>;
type Parts = (ElementType, WasmList<u64>, WasmList<u8>);

/// One more than any tensor has: a longer list is refused for its rank, without being copied whole.
const MAX_DIMS: usize = 65;

pub(super) fn add_to_linker<T: NnView>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    let mut tensors = linker.instance(&interface("tensors"))?;
    tensors.resource("tensor", ResourceType::host::<TensorResource>(), |mut store, rep| {
        let dropped = store.data_mut().nn_mut().session.drop_tensor(rep);
        dropped.map_err(wasmtime::Error::new)
    })?;
    tensors.func_wrap("[static]tensor.from-bytes", |mut store, parts: Parts| {
        made(from_bytes::<T>(&mut store, &parts))
    })?;
    tensors.func_wrap("[method]tensor.element-type", |store, (this,): This| {
        let tensor = session(&store).tensor(this.rep()).map_err(wasmtime::Error::new)?;
        Ok((ElementType::from(tensor.element_type()),))
    })?;
    tensors.func_wrap("[method]tensor.shape", |store, (this,): This| {
        let tensor = session(&store).tensor(this.rep()).map_err(wasmtime::Error::new)?;
        let shape: Vec<u64> = tensor.shape().iter().map(|&dim| dim as u64).collect();
        Ok((shape,))
    })?;
    tensors.func_wrap("[method]tensor.byte-length", |store, (this,): This| {
        let tensor = session(&store).tensor(this.rep()).map_err(wasmtime::Error::new)?;
        Ok((tensor.data().len() as u64,))
    })?;
    tensors.func_wrap("[method]tensor.read-all", |store, (this,): This| {
        let data = session(&store).read_tensor(this.rep());
        Ok((data.map(Arc::clone).map_err(wasmtime::Error::new)?,))
    })?;
    tensors.func_wrap(
        "[method]tensor.read",
        |store, (this, offset, length): (Resource<TensorResource>, u64, u64)| {
            let bytes = session(&store).read_range(this.rep(), offset, length);
            Ok((bytes.map_err(Error::from),))
        },
    )?;
    tensors.func_wrap(
        "[method]tensor.slice",
        |mut store, (this, start, count): (Resource<TensorResource>, u64, u64)| {
            made(session_mut(&mut store).slice_tensor(this.rep(), start, count))
        },
    )?;
    tensors.func_wrap(
        "[method]tensor.reshape",
        |mut store, (this, shape): (Resource<TensorResource>, WasmList<u64>)| {
            let shape = dims(&store, &shape);
            made(session_mut(&mut store).reshape_tensor(this.rep(), shape))
        },
    )
}

fn from_bytes<T: NnView>(
    store: &mut StoreContextMut<'_, T>,
    (element_type, shape, data): &Parts,
) -> Result<u32, NnError> {
    let shape = dims(store, shape);
    let data = data.as_le_slice(&*store);
    let grant = session(store).pay_for_shape((*element_type).into(), shape, data.len())?;
    let held = grant.fill(data)?;
    session_mut(store).keep_tensor(held)
}

/// A dimension beyond the address space stays beyond it.
fn dims<T: NnView>(store: &StoreContextMut<'_, T>, shape: &WasmList<u64>) -> Vec<usize> {
    let dims = shape.as_le_slice(store).iter().take(MAX_DIMS);
    dims.map(|&dim| usize::try_from(u64::from_le(dim)).unwrap_or(usize::MAX))
        .collect()
}

fn made(outcome: Result<u32, NnError>) -> Made {
    Ok((outcome.map(Resource::new_own).map_err(Error::from),))
}

fn session<'a, T: NnView>(store: &'a StoreContextMut<'_, T>) -> &'a Session {
    &store.data().nn().session
}

fn session_mut<'a, T: NnView>(store: &'a mut StoreContextMut<'_, T>) -> &'a mut Session {
    &mut store.data_mut().nn_mut().session
}
