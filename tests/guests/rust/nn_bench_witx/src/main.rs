//! Uses the model `echo` (output C is input A) through `wasi_ephemeral_nn`: `nn_bench_witx compute COUNT BYTES`. Prints
//! nothing: the host measures.

use std::process::ExitCode;

use wasi_nn::{Error, ExecutionTarget, GraphBuilder, GraphEncoding, TensorType};

fn main() -> ExitCode {
    let number = |at| {
        std::env::args()
            .nth(at)
            .and_then(|text| text.parse::<usize>().ok())
            .unwrap_or(0)
    };
    match compute(number(2), number(3)) {
        Ok(true) => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

fn compute(count: usize, bytes: usize) -> Result<bool, Error> {
    let graph = GraphBuilder::new(GraphEncoding::Onnx, ExecutionTarget::CPU).build_from_cache("echo")?;
    let mut context = graph.init_execution_context()?;
    let (data, mut output) = (vec![7_u8; bytes], vec![0_u8; bytes]);
    for _ in 0..count {
        context.set_input(0, TensorType::U8, &[bytes], &data)?;
        context.compute()?;
        if context.get_output(0, &mut output)? != bytes {
            return Ok(false);
        }
    }
    Ok(true)
}
