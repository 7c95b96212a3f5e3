//! The witx dialect: module `wasi_ephemeral_nn` for core modules, with the functions that WasmEdge adds to it. Plain
//! functions over checked memory: whatever a guest passes, it gets a number back. Numbers and layouts are those of
//! wasi-nn's witx file and of WasmEdge's `wasinnmodule.cpp`.

mod calls;
mod contexts;
mod errno;
mod memory;
mod number;

use wasmtime::{Caller, Linker};

use self::errno::Errno;
pub(crate) use contexts::Contexts;

use super::{NnError, NnView};

/// The module's name in a guest's imports.
pub(crate) const MODULE: &str = "wasi_ephemeral_nn";

/// Defines the module's twelve functions.
pub(crate) fn add_to_linker<T: NnView>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    linker.func_wrap_async(MODULE, "load", |mut caller: Caller<'_, T>, arguments| {
        Box::new(async move { number(calls::load(&mut caller, arguments).await) })
    })?;
    linker.func_wrap_async(MODULE, "load_by_name", |mut caller: Caller<'_, T>, arguments| {
        Box::new(async move { number(calls::load_by_name(&mut caller, arguments).await) })
    })?;
    linker.func_wrap_async(
        MODULE,
        "load_by_name_with_config",
        |mut caller: Caller<'_, T>, arguments| {
            Box::new(async move { number(calls::load_by_name_with_config(&mut caller, arguments).await) })
        },
    )?;
    linker.func_wrap_async(MODULE, "compute", |mut caller: Caller<'_, T>, (context,): (u32,)| {
        Box::new(async move { number(calls::compute(&mut caller, context).await) })
    })?;
    linker.func_wrap(
        MODULE,
        "init_execution_context",
        |mut caller: Caller<'_, T>, graph: u32, out: u32| number(calls::init_context(&mut caller, graph, out)),
    )?;
    linker.func_wrap(
        MODULE,
        "set_input",
        |mut caller: Caller<'_, T>, context: u32, index: u32, tensor: u32| {
            number(calls::set_input(&mut caller, context, index, tensor))
        },
    )?;
    linker.func_wrap(
        MODULE,
        "get_output",
        |mut caller: Caller<'_, T>, context: u32, index: u32, buffer: u32, size: u32, written: u32| {
            number(calls::get_output(
                &mut caller,
                (context, index),
                (buffer, size),
                written,
            ))
        },
    )?;
    linker.func_wrap(MODULE, "unload", |mut caller: Caller<'_, T>, graph: u32| {
        number(calls::unload(&mut caller, graph))
    })?;
    linker.func_wrap(
        MODULE,
        "finalize_execution_context",
        |mut caller: Caller<'_, T>, context: u32| number(calls::finalize_context(&mut caller, context)),
    )?;
    add_language(linker)
}

/// Generation token by token: for language models, and no engine of this host runs one.
fn add_language<T: NnView>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    linker.func_wrap(MODULE, "compute_single", |caller: Caller<'_, T>, context: u32| {
        number(calls::language_only(&caller, context))
    })?;
    linker.func_wrap(
        MODULE,
        "get_output_single",
        |caller: Caller<'_, T>, context: u32, _index: u32, _buffer: u32, _size: u32, _written: u32| {
            number(calls::language_only(&caller, context))
        },
    )?;
    linker.func_wrap(MODULE, "fini_single", |caller: Caller<'_, T>, context: u32| {
        number(calls::language_only(&caller, context))
    })?;
    Ok(())
}

fn number(outcome: Result<(), NnError>) -> u32 {
    match outcome {
        Ok(()) => Errno::Success.raw(),
        Err(error) => {
            tracing::debug!(
                error = &error as &dyn std::error::Error,
                "a guest's wasi-nn call failed"
            );
            Errno::of(&error).raw()
        }
    }
}
