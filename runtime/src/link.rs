//! Linking: which host functions a guest may import. Base WASI and wasi:http are always there (what they reach is another
//! matter), wasi-nn only with a model grant. Imports that nobody provides are all named at once.

mod error;
mod provided;

pub use error::{LinkError, MissingImport};
use wasmtime::{
    ExternType, Module,
    component::{Component, Linker},
};

use crate::{
    code::Code,
    engine::Engine,
    nn::{inference, wit, witx},
    store::State,
};

/// What guests may link to beyond base WASI.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkOptions {
    /// Whether a model is granted: without one, a guest that imports wasi-nn is refused when it is linked instead of
    /// failing in the middle of a request.
    pub models: bool,
}

/// Links a component. Every import is resolved here, so that starting an instance looks nothing up.
pub(crate) fn component(
    engine: &Engine,
    code: &Code,
    component: &Component,
    options: LinkOptions,
) -> Result<wasmtime::component::InstancePre<State>, LinkError> {
    let missing: Vec<_> = code
        .imports()
        .into_iter()
        .filter_map(|import| provided::check_component(&import, options))
        .collect();
    if !missing.is_empty() {
        return Err(LinkError::Missing {
            digest: code.digest().to_owned(),
            imports: missing,
        });
    }
    let pre =
        component_linker(engine, code.uses_wasi_03(), options).and_then(|linker| linker.instantiate_pre(component));
    pre.map_err(|error| LinkError::Mismatch {
        digest: code.digest().to_owned(),
        source: error.into(),
    })
}

/// Links a core module.
pub(crate) fn module(
    engine: &Engine,
    code: &Code,
    module: &Module,
    options: LinkOptions,
) -> Result<wasmtime::InstancePre<State>, LinkError> {
    let mismatch = |error: wasmtime::Error| LinkError::Mismatch {
        digest: code.digest().to_owned(),
        source: error.into(),
    };
    let mut linker = wasmtime::Linker::<State>::new(engine.wasmtime());
    wasmtime_wasi::p1::add_to_linker_async(&mut linker, State::wasi_p1).map_err(mismatch)?;
    if options.models {
        witx::add_to_linker(&mut linker).map_err(mismatch)?;
    }
    let missing = missing_of_module(&linker, module, options);
    if !missing.is_empty() {
        return Err(LinkError::Missing {
            digest: code.digest().to_owned(),
            imports: missing,
        });
    }
    linker.instantiate_pre(module).map_err(mismatch)
}

fn component_linker(engine: &Engine, wasi_03: bool, options: LinkOptions) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine.wasmtime());
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    if wasi_03 {
        wasmtime_wasi::p3::add_to_linker(&mut linker)?;
        wasmtime_wasi_http::p3::add_to_linker(&mut linker)?;
    }
    if options.models {
        wit::add_to_linker(&mut linker)?;
        inference::add_to_linker(&mut linker)?;
    }
    Ok(linker)
}

/// The linker looks names up only with a store at hand; defining them in a copy tells as well, because a name that is
/// there is not defined twice.
fn missing_of_module(linker: &wasmtime::Linker<State>, module: &Module, options: LinkOptions) -> Vec<MissingImport> {
    let mut copy = linker.clone();
    module
        .imports()
        .filter(|import| match import.ty() {
            ExternType::Func(ty) => copy
                .func_new(import.module(), import.name(), ty, |_, _, _| Ok(()))
                .is_ok(),
            // The host provides functions only.
            _ => true,
        })
        .map(|import| provided::missing_core(import.module(), import.name(), options))
        .collect()
}
