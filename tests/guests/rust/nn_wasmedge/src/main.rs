//! A core module on WasmEdge's crate: `nn_wasmedge [MODE]`. Prints what the host answered, one word per call.
//!
//! - no mode: the model `add`, with settings, AUTO target and metadata as guests for WasmEdge send them; then unload
//! - `generate`: what a guest of a language model does, step by step

use std::process::ExitCode;

use wasmedge_wasi_nn::{Error, ExecutionTarget, Graph, GraphBuilder, GraphEncoding, TensorType};

type Outcome = Result<String, String>;

fn main() -> ExitCode {
    let mode = std::env::args().nth(1).unwrap_or_default();
    let outcome = match mode.as_str() {
        "" => add(),
        "generate" => generate(),
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

fn named(encoding: GraphEncoding) -> Result<Graph, Error> {
    let settings = r#"{"enable-log":false,"ctx-size":512}"#.to_owned();
    GraphBuilder::new(encoding, ExecutionTarget::AUTO)
        .config(settings)
        .build_from_cache("add")
}

fn add() -> Outcome {
    let graph = named(GraphEncoding::Onnx).map_err(tell)?;
    let mut context = graph.init_execution_context().map_err(tell)?;
    context
        .set_input(0, TensorType::F32, &[2], [1.0_f32, 2.0])
        .map_err(tell)?;
    context
        .set_input(1, TensorType::F32, &[2], [0.5_f32, 0.5])
        .map_err(tell)?;
    context.compute().map_err(tell)?;
    let mut short = [0.0_f32; 1];
    let refused = verdict(context.get_output(0, &mut short));
    graph.unload().map_err(tell)?;
    let mut sums = [0.0_f32; 2];
    // Outputs outlive the graph; computes do not.
    let written = context.get_output(0, &mut sums).map_err(tell)?;
    let late = verdict(context.compute());
    Ok(format!(
        "{refused} {sums:?} {written} {late} {}",
        verdict(graph.unload())
    ))
}

fn generate() -> Outcome {
    let graph = named(GraphEncoding::Ggml).map_err(tell)?;
    let mut context = graph.init_execution_context().map_err(tell)?;
    let mut token = [0_u8; 8];
    Ok([
        verdict(GraphBuilder::new(GraphEncoding::Ggml, ExecutionTarget::CPU).build_from_bytes([b"GGUF"])),
        verdict(context.compute_single()),
        verdict(context.get_output_single(0, &mut token)),
        verdict(context.fini_single()),
    ]
    .join(" "))
}

fn verdict<T>(outcome: Result<T, Error>) -> String {
    match outcome {
        Ok(_) => "Ok".to_owned(),
        Err(error) => tell(error),
    }
}

fn tell(error: Error) -> String {
    match error {
        Error::BackendError(code) => format!("{code:?}"),
        other => other.to_string(),
    }
}
