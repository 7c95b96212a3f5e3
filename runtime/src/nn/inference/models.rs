//! `dunlin:inference/models`: open by name, ask what it is, compute on borrowed tensors.

use wasmtime::{
    StoreContextMut,
    component::{Linker, Resource, ResourceType, WasmStr},
};

use super::{
    super::{
        NnError, NnState, NnView,
        session::{Input, MAX_NAME_BYTES, Naming},
    },
    error::Error,
    interface,
    types::{ModelResource, Spec, TensorResource},
};

type This = (Resource<ModelResource>,);
type Answer<T> = wasmtime::Result<(Result<T, Error>,)>;
type Inputs = Vec<(String, Resource<TensorResource>)>;
type Run = (Resource<ModelResource>, Inputs, Option<Vec<String>>);

pub(super) fn add_to_linker<T: NnView>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    let mut models = linker.instance(&interface("models"))?;
    models.resource("model", ResourceType::host::<ModelResource>(), |mut store, rep| {
        close(store.data_mut().nn_mut(), rep).map_err(wasmtime::Error::new)
    })?;
    models.func_wrap_async("[static]model.open", |store, (name,): (WasmStr,)| {
        Box::new(open::<T>(store, name))
    })?;
    models.func_wrap("[method]model.digest", |store, (this,): This| {
        let graph = store.data().nn().session.graph(this.rep());
        Ok((graph.map_err(wasmtime::Error::new)?.digest.clone(),))
    })?;
    models.func_wrap("[method]model.inputs", |store, (this,): This| {
        let graph = store.data().nn().session.graph(this.rep());
        let signature = graph.map_err(wasmtime::Error::new)?.graph.signature();
        Ok((signature.inputs.iter().map(Spec::from).collect::<Vec<_>>(),))
    })?;
    models.func_wrap("[method]model.outputs", |store, (this,): This| {
        let graph = store.data().nn().session.graph(this.rep());
        let signature = graph.map_err(wasmtime::Error::new)?.graph.signature();
        Ok((signature.outputs.iter().map(Spec::from).collect::<Vec<_>>(),))
    })?;
    models.func_wrap("[method]model.metadata", |store, (this,): This| {
        let graph = store.data().nn().session.graph(this.rep());
        Ok((graph.map_err(wasmtime::Error::new)?.graph.signature().metadata.clone(),))
    })?;
    models.func_wrap_async("[method]model.run", |store, run: Run| {
        Box::new(run_model::<T>(store, run))
    })
}

async fn open<T: NnView>(mut store: StoreContextMut<'_, T>, name: WasmStr) -> Answer<Resource<ModelResource>> {
    let name = match name.to_str(&store)? {
        long if long.len() > MAX_NAME_BYTES => {
            let (what, len, limit) = ("model name", long.len(), MAX_NAME_BYTES);
            return Ok((Err(NnError::NameTooLong { what, len, limit }.into()),));
        }
        name => name.into_owned(),
    };
    let opened = try_open(store.data_mut().nn_mut(), &name).await;
    Ok((opened.map(Resource::new_own).map_err(Error::from),))
}

/// A model is a graph with one context: computes of one guest on one model follow each other.
async fn try_open(state: &mut NnState, name: &str) -> Result<u32, NnError> {
    let graph = state.session.open(name).await?;
    match state.session.init_context(graph) {
        Ok(context) => {
            state.inference.contexts.insert(graph, context);
            Ok(graph)
        }
        Err(error) => {
            state.session.drop_graph(graph)?;
            Err(error)
        }
    }
}

fn close(state: &mut NnState, graph: u32) -> Result<(), NnError> {
    if let Some(context) = state.inference.contexts.remove(&graph) {
        state.session.drop_context(context)?;
    }
    state.session.drop_graph(graph)
}

async fn run_model<T: NnView>(mut store: StoreContextMut<'_, T>, (model, inputs, wanted): Run) -> Answer<Inputs> {
    let outputs = try_run(store.data_mut().nn_mut(), model.rep(), inputs, wanted).await;
    let named = outputs.map(|outputs| {
        outputs
            .into_iter()
            .map(|(name, rep)| (name, Resource::new_own(rep)))
            .collect()
    });
    Ok((named.map_err(Error::from),))
}

async fn try_run(
    state: &mut NnState,
    graph: u32,
    inputs: Inputs,
    wanted: Option<Vec<String>>,
) -> Result<Vec<(String, u32)>, NnError> {
    let context = state.inference.contexts.get(&graph).copied();
    let context = context.ok_or(NnError::BadHandle { what: "model" })?;
    let signature = state.session.graph(graph)?.graph.signature();
    let known = |name: &&String| signature.output(name).is_none();
    if let Some(unknown) = wanted.as_ref().and_then(|wanted| wanted.iter().find(known)) {
        return Err(NnError::UnknownOutput {
            output: unknown.chars().take(MAX_NAME_BYTES).collect(),
        });
    }
    let lent = inputs
        .into_iter()
        .map(|(name, tensor)| (name, Input::Lent(tensor.rep())));
    let mut outputs = state.session.begin(context, lent.collect())?.run().await?;
    if let Some(wanted) = wanted {
        outputs.select(&wanted);
    }
    state.session.finish(outputs, Naming::Model)
}
