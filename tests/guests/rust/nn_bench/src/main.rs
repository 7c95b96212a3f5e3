//! Uses the model `echo` (output C is input A) through wasi:nn: `nn_bench MODE COUNT BYTES`. Prints nothing: the host measures.
//!
//! - `tensor`: makes a tensor of BYTES, reads it, drops it; COUNT times
//! - `compute`: makes a tensor, computes, reads the output, drops both; COUNT times
//! - `open`: opens the model and drops it; COUNT times

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

use std::process::ExitCode;

use bindings::wasi::nn::{
    graph,
    tensor::{Tensor, TensorType},
};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let number = |at: usize| {
        arguments
            .get(at)
            .and_then(|text| text.parse::<usize>().ok())
            .unwrap_or(0)
    };
    let (count, data) = (number(2), vec![7; number(3)]);
    let done = match arguments.get(1).map(String::as_str) {
        Some("tensor") => (0..count).all(|_| tensor(&data).data().len() == data.len()),
        Some("compute") => compute(count, &data),
        Some("open") => (0..count).all(|_| graph::load_by_name("echo").is_ok()),
        _ => false,
    };
    if done { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn tensor(data: &[u8]) -> Tensor {
    Tensor::new(&[u32::try_from(data.len()).unwrap_or(0)], TensorType::U8, data)
}

fn compute(count: usize, data: &[u8]) -> bool {
    let Ok(context) = graph::load_by_name("echo").and_then(|graph| graph.init_execution_context()) else {
        return false;
    };
    (0..count).all(|_| {
        let outputs = context.compute(vec![("A".to_owned(), tensor(data))]);
        outputs.is_ok_and(|outputs| outputs.iter().all(|(_, output)| output.data().len() == data.len()))
    })
}
