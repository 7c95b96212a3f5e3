//! A core module on the public `wasi-nn` crate, as its documentation says: `nn_witx [MODE]`. It runs the model `add`
//! (C = A + B, vectors of floats), prints one line, and exits with 1 where the host did not do what it must.
//!
//! - no mode: by name, two computes on one context, a second context
//! - `missing-name`: a model that nobody granted
//! - `load-bytes`: a model from bytes, and bytes that are none
//! - `flood`: contexts until the host refuses

use std::process::ExitCode;

use wasi_nn::{ExecutionTarget, Graph, GraphBuilder, GraphEncoding, GraphExecutionContext, TensorType};

type Outcome = Result<String, String>;

fn main() -> ExitCode {
    let mode = std::env::args().nth(1).unwrap_or_default();
    let outcome = match mode.as_str() {
        "" => add(),
        "missing-name" => missing_name(),
        "load-bytes" => load_bytes(),
        "flood" => flood(),
        _ => Err(format!("there is no mode `{mode}`")),
    };
    match outcome {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(line) => {
            eprintln!("{line}");
            ExitCode::FAILURE
        }
    }
}

fn named(name: &str) -> Result<Graph, wasi_nn::Error> {
    GraphBuilder::new(GraphEncoding::Onnx, ExecutionTarget::CPU).build_from_cache(name)
}

fn add() -> Outcome {
    let graph = named("add").map_err(tell)?;
    let mut first = graph.init_execution_context().map_err(tell)?;
    let mut second = graph.init_execution_context().map_err(tell)?;
    let sums = compute(&mut first, &[1.0, 2.0, 3.0], &[10.0, 20.0, 30.0])?;
    let again = compute(&mut first, &[1.0], &[2.0])?;
    let other = compute(&mut second, &[0.5, 0.5], &[0.25, -0.5])?;
    if again != [3.0] || other != [0.75, 0.0] {
        return Err(format!("{again:?} {other:?}"));
    }
    Ok(format!("C = {sums:?}"))
}

fn compute(context: &mut GraphExecutionContext<'_>, a: &[f32], b: &[f32]) -> Result<Vec<f32>, String> {
    context.set_input(0, TensorType::F32, &[a.len()], a).map_err(tell)?;
    context.set_input(1, TensorType::F32, &[b.len()], b).map_err(tell)?;
    context.compute().map_err(tell)?;
    let mut sums = vec![0.0_f32; a.len()];
    let written = context.get_output(0, &mut sums).map_err(tell)?;
    if written != size_of_val(sums.as_slice()) {
        return Err(format!("{written} bytes were written"));
    }
    Ok(sums)
}

fn missing_name() -> Outcome {
    match named("no-such-model") {
        Ok(_) => Err("a model that nobody granted was opened".to_owned()),
        Err(error) => Ok(tell(error)),
    }
}

fn load_bytes() -> Outcome {
    let load = |bytes: &[u8]| GraphBuilder::new(GraphEncoding::Onnx, ExecutionTarget::CPU).build_from_bytes([bytes]);
    let graph = load(b"add, as the test's provider knows it").map_err(tell)?;
    let mut context = graph.init_execution_context().map_err(tell)?;
    let sums = compute(&mut context, &[1.0], &[2.0])?;
    match load(b"this is no model") {
        Ok(_) => Err("garbage was taken for a model".to_owned()),
        Err(error) => Ok(format!("C = {sums:?}; {}", tell(error))),
    }
}

/// The crate has no way to give a context back, so this must end at the host's limit.
fn flood() -> Outcome {
    let graph = named("add").map_err(tell)?;
    for made in 0..1 << 16 {
        if let Err(error) = graph.init_execution_context() {
            return Ok(format!("{} after {made} contexts", tell(error)));
        }
    }
    Err("the host has no limit".to_owned())
}

fn tell(error: wasi_nn::Error) -> String {
    match error {
        wasi_nn::Error::BackendError(code) => format!("{code:?}"),
        other => other.to_string(),
    }
}
