//! `wasi:nn/graph` and `wasi:nn/inference`: models, contexts, and computes that leave the executor's thread free.

use dunlin_host_gpu::Encoding;
use wasmtime::{
    StoreContextMut,
    component::{Linker, Resource, ResourceType, WasmList, WasmStr},
};

use super::{
    super::{
        NnError, NnView,
        session::{Input, MAX_NAME_BYTES, Naming},
    },
    interface,
    tensor::usable,
    types::{ContextResource, ErrorResource, ExecutionTarget, GraphEncoding, GraphResource, TensorResource},
};

/// A wasi-nn result: the outer error is a trap, the inner one the guest's to handle.
type Answer<T> = wasmtime::Result<(Result<T, Resource<ErrorResource>>,)>;
type LoadParts = (WasmList<WasmList<u8>>, GraphEncoding, ExecutionTarget);
type Named = (String, Resource<TensorResource>);

pub(super) fn add_to_linker<T: NnView>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    // Inference comes first: graph uses its resource.
    let mut inference = linker.instance(&interface("inference"))?;
    inference.resource(
        "graph-execution-context",
        ResourceType::host::<ContextResource>(),
        |mut store, rep| {
            store
                .data_mut()
                .nn_mut()
                .session
                .drop_context(rep)
                .map_err(wasmtime::Error::new)
        },
    )?;
    inference.func_wrap_async("[method]graph-execution-context.compute", |store, (context, inputs)| {
        Box::new(compute::<T>(store, context, inputs))
    })?;

    let mut graph = linker.instance(&interface("graph"))?;
    graph.resource("graph", ResourceType::host::<GraphResource>(), |mut store, rep| {
        store
            .data_mut()
            .nn_mut()
            .session
            .drop_graph(rep)
            .map_err(wasmtime::Error::new)
    })?;
    graph.func_wrap(
        "[method]graph.init-execution-context",
        |mut store, (graph,): (Resource<GraphResource>,)| {
            let context = store.data_mut().nn_mut().session.init_context(graph.rep());
            answer::<T, _>(&mut store, context.map(Resource::<ContextResource>::new_own))
        },
    )?;
    graph.func_wrap_async("load", |store, parts: LoadParts| Box::new(load::<T>(store, parts)))?;
    graph.func_wrap_async("load-by-name", |store, (name,): (WasmStr,)| {
        Box::new(load_by_name::<T>(store, name))
    })
}

async fn load_by_name<T: NnView>(mut store: StoreContextMut<'_, T>, name: WasmStr) -> Answer<Resource<GraphResource>> {
    let name = match name.to_str(&store)? {
        long if long.len() > MAX_NAME_BYTES => {
            let (what, len, limit) = ("model name", long.len(), MAX_NAME_BYTES);
            return answer(&mut store, Err(NnError::NameTooLong { what, len, limit }));
        }
        name => name.into_owned(),
    };
    let graph = store.data_mut().nn_mut().session.open(&name).await;
    answer(&mut store, graph.map(Resource::new_own))
}

async fn load<T: NnView>(mut store: StoreContextMut<'_, T>, parts: LoadParts) -> Answer<Resource<GraphResource>> {
    let (builders, encoding, target) = parts;
    if builders.len() != 1 {
        return answer(&mut store, Err(NnError::ModelParts { given: builders.len() }));
    }
    let Some(builder) = builders.get(&mut store, 0).transpose()? else {
        return answer(&mut store, Err(NnError::ModelParts { given: 0 }));
    };
    let grant = match store.data().nn().session.pay_for_load(builder.len()) {
        Ok(grant) => grant,
        Err(error) => return answer(&mut store, Err(error)),
    };
    let bytes = builder.as_le_slice(&store).to_vec();
    let session = &mut store.data_mut().nn_mut().session;
    let graph = session
        .load(grant, Encoding::from(encoding), target.into(), bytes)
        .await;
    answer(&mut store, graph.map(Resource::new_own))
}

async fn compute<T: NnView>(
    mut store: StoreContextMut<'_, T>,
    context: Resource<ContextResource>,
    inputs: Vec<Named>,
) -> Answer<Vec<Named>> {
    let outputs = try_compute(&mut store, context.rep(), inputs).await;
    let named = outputs.map(|outputs| {
        outputs
            .into_iter()
            .map(|(name, rep)| (name, Resource::new_own(rep)))
            .collect()
    });
    answer(&mut store, named)
}

async fn try_compute<T: NnView>(
    store: &mut StoreContextMut<'_, T>,
    context: u32,
    inputs: Vec<Named>,
) -> Result<Vec<(String, u32)>, NnError> {
    let session = &mut store.data_mut().nn_mut().session;
    let (mut usable_inputs, mut refusal) = (Vec::with_capacity(inputs.len()), None);
    for (name, tensor) in inputs {
        match usable(tensor.rep()) {
            Ok(rep) => usable_inputs.push((name, Input::Taken(rep))),
            Err(error) => refusal = Some(error),
        }
    }
    if let Some(error) = refusal {
        // The guest gave the others away with the call; nobody waits for this compute.
        drop(session.begin(context, usable_inputs));
        return Err(error);
    }
    let outputs = session.begin(context, usable_inputs)?.run().await?;
    session.finish(outputs, Naming::WasiNn)
}

fn answer<T: NnView, R>(store: &mut StoreContextMut<'_, T>, outcome: Result<R, NnError>) -> Answer<R> {
    Ok((outcome.map_err(|error| store.data_mut().nn_mut().errors.raise(&error)),))
}
