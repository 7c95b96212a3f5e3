//! A command that runs the model `add` (C = A + B, three vectors of floats) through wasi-nn: `nn_add [MODE]`.
//!
//! Each mode prints one line about what the host did, and exits with 1 where that is not what a host must do. A
//! tensor's constructor cannot fail, so a refusal shows when the tensor is used.
//!
//! - no mode: adds, checks the sums, prints them
//! - `compute-twice`: one context, two sizes; then a second context
//! - `missing-name`: a model that nobody granted
//! - `wrong-shape`, `wrong-type`, `wrong-input`: inputs that do not fit the model
//! - `bad-dims`: tensors whose dimensions do not fit their data, or overflow
//! - `tensor-flood`, `context-flood`: as many as the host allows, and one more
//! - `load-bytes [PATH]`: the model from its file's bytes (default `/models/add/model.onnx`)
//! - `load-garbage`: a model from bytes that are none

mod modes;

use std::process::ExitCode;

#[allow(
    unsafe_code,
    missing_docs,
    reason = "generated: the calling convention of components"
)]
mod bindings {
    wit_bindgen::generate!({
        world: "ml",
        path: "../../../../examples/guests/rust/embed/wit/deps/wasi-nn",
    });
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let mode = arguments.first().map_or("add", String::as_str);
    let outcome = match mode {
        "add" => modes::add(),
        "compute-twice" => modes::compute_twice(),
        "missing-name" => modes::missing_name(),
        "wrong-shape" => modes::wrong_shape(),
        "wrong-type" => modes::wrong_type(),
        "wrong-input" => modes::wrong_input(),
        "bad-dims" => modes::bad_dims(),
        "tensor-flood" => modes::tensor_flood(),
        "context-flood" => modes::context_flood(),
        "load-bytes" => modes::load_bytes(arguments.get(1).map(String::as_str)),
        "load-garbage" => modes::load_garbage(),
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
