//! The modes. `Ok` says what the host did rightly, `Err` what it did wrongly.

use crate::bindings::wasi::nn::{
    errors::{Error, ErrorCode},
    graph::{self, ExecutionTarget, Graph, GraphEncoding},
    inference::GraphExecutionContext,
    tensor::{Tensor, TensorType},
};

type Outcome = Result<String, String>;

/// Most tensors or contexts that a flood makes: a host that allows more has no limit worth the name.
const FLOOD: usize = 1 << 16;

pub(crate) fn add() -> Outcome {
    let sums = compute(&context(&named()?)?, &[1.0, 2.0, 3.0], &[10.0, 20.0, 30.0])?;
    check(&sums, &[11.0, 22.0, 33.0])?;
    Ok(format!("C = {sums:?}"))
}

pub(crate) fn compute_twice() -> Outcome {
    let graph = named()?;
    let first = context(&graph)?;
    check(&compute(&first, &[1.0], &[2.0])?, &[3.0])?;
    check(&compute(&first, &[1.0, 2.0], &[0.5, -2.0])?, &[1.5, 0.0])?;
    let second = context(&graph)?;
    drop((first, graph));
    check(&compute(&second, &[0.0; 1000], &[1.0; 1000])?, &[1.0; 1000])?;
    Ok("three computations on two contexts".to_owned())
}

pub(crate) fn missing_name() -> Outcome {
    expect(graph::load_by_name("no-such-model"), ErrorCode::NotFound)
}

pub(crate) fn wrong_shape() -> Outcome {
    let inputs = vec![input("A", &[1.0, 2.0, 3.0]), input("B", &[1.0, 2.0])];
    refused(inputs, ErrorCode::InvalidArgument)
}

pub(crate) fn wrong_type() -> Outcome {
    let data = 1_i32.to_le_bytes();
    let wrong = Tensor::new(&[1], TensorType::I32, &data);
    let inputs = vec![("A".to_owned(), wrong), input("B", &[1.0])];
    refused(inputs, ErrorCode::InvalidArgument)
}

pub(crate) fn wrong_input() -> Outcome {
    refused(vec![input("A", &[1.0])], ErrorCode::InvalidArgument)?;
    let unknown = vec![input("A", &[1.0]), input("B", &[1.0]), input("D", &[1.0])];
    refused(unknown, ErrorCode::InvalidArgument)?;
    let twice = vec![input("A", &[1.0]), input("B", &[1.0]), input("A", &[1.0])];
    refused(twice, ErrorCode::InvalidArgument)
}

pub(crate) fn bad_dims() -> Outcome {
    let four = 1.0_f32.to_le_bytes().to_vec();
    for dims in [
        vec![1000, 1000],
        vec![2],
        vec![u32::MAX, u32::MAX, u32::MAX],
        vec![0],
        vec![1; 1 << 16],
    ] {
        let bad = Tensor::new(&dims, TensorType::Fp32, &four);
        let inputs = vec![("A".to_owned(), bad), input("B", &[1.0])];
        refused(inputs, ErrorCode::InvalidArgument)?;
    }
    Ok("invalid-argument for each".to_owned())
}

pub(crate) fn tensor_flood() -> Outcome {
    let context = context(&named()?)?;
    let numbers = vec![1.0; 1 << 18];
    let mut kept = Vec::new();
    while kept.len() < FLOOD {
        let one = input("A", &numbers);
        // A refused tensor has no data, so it does not have the dimensions that were asked for.
        let refused = one.1.dimensions() != [1 << 18];
        kept.push(one);
        if refused {
            break;
        }
    }
    let made = kept.len() - 1;
    let Some(last) = kept.pop() else {
        return Err("no tensor at all".to_owned());
    };
    let other = input("B", &[1.0]);
    let code = expect(context.compute(vec![last, other]), ErrorCode::TooLarge)?;
    drop(kept);
    // What was given back can be used again.
    check(&compute(&context, &[1.0], &[2.0])?, &[3.0])?;
    Ok(format!("{code} after {made} MiB"))
}

pub(crate) fn context_flood() -> Outcome {
    let graph = named()?;
    let mut kept = Vec::new();
    while kept.len() < FLOOD {
        match graph.init_execution_context() {
            Ok(context) => kept.push(context),
            Err(error) => {
                let code = expect::<()>(Err(error), ErrorCode::TooLarge)?;
                return Ok(format!("{code} after {} contexts", kept.len()));
            }
        }
    }
    Err(format!("the host keeps {FLOOD} contexts"))
}

pub(crate) fn load_bytes(path: Option<&str>) -> Outcome {
    let path = path.unwrap_or("/models/add/model.onnx");
    let bytes = std::fs::read(path).map_err(|error| format!("cannot read {path}: {error}"))?;
    let graph = graph::load(&[bytes], GraphEncoding::Onnx, ExecutionTarget::Cpu).map_err(tell)?;
    check(&compute(&context(&graph)?, &[1.0], &[2.0])?, &[3.0])?;
    Ok("computed with a model from bytes".to_owned())
}

pub(crate) fn load_garbage() -> Outcome {
    let garbage = vec![b"this is no model".to_vec()];
    match graph::load(&garbage, GraphEncoding::Onnx, ExecutionTarget::Cpu) {
        Ok(_) => Err("garbage was taken for a model".to_owned()),
        Err(error) => Ok(name(error.code()).to_owned()),
    }
}

fn named() -> Result<Graph, String> {
    graph::load_by_name("add").map_err(tell)
}

fn context(graph: &Graph) -> Result<GraphExecutionContext, String> {
    graph.init_execution_context().map_err(tell)
}

fn input(name: &str, numbers: &[f32]) -> (String, Tensor) {
    let data: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    let length = u32::try_from(numbers.len()).unwrap_or(u32::MAX);
    (name.to_owned(), Tensor::new(&[length], TensorType::Fp32, &data))
}

fn compute(context: &GraphExecutionContext, a: &[f32], b: &[f32]) -> Result<Vec<f32>, String> {
    let outputs = context.compute(vec![input("A", a), input("B", b)]).map_err(tell)?;
    let [(name, sums)] = outputs.as_slice() else {
        return Err(format!("{} outputs instead of one", outputs.len()));
    };
    let length = u32::try_from(a.len()).unwrap_or(u32::MAX);
    if name != "C" || sums.dimensions() != [length] || sums.ty() != TensorType::Fp32 {
        return Err(format!("output {name} {:?} {:?}", sums.dimensions(), sums.ty()));
    }
    let data = sums.data();
    let (numbers, _) = data.as_chunks();
    Ok(numbers.iter().map(|&number| f32::from_le_bytes(number)).collect())
}

fn check(found: &[f32], expected: &[f32]) -> Result<(), String> {
    if found == expected {
        return Ok(());
    }
    Err(format!("{found:?} instead of {expected:?}"))
}

/// Runs the model on inputs that it must refuse with `code`.
fn refused(inputs: Vec<(String, Tensor)>, code: ErrorCode) -> Outcome {
    expect(context(&named()?)?.compute(inputs), code)
}

fn expect<T>(result: Result<T, Error>, code: ErrorCode) -> Outcome {
    match result {
        Ok(_) => Err(format!("no error instead of {}", name(code))),
        Err(error) if error.code() == code => Ok(name(code).to_owned()),
        Err(error) => Err(format!("{} instead of {}", tell(error), name(code))),
    }
}

fn tell(error: Error) -> String {
    format!("{}: {}", name(error.code()), error.data())
}

/// The code as the interface spells it.
fn name(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::InvalidArgument => "invalid-argument",
        ErrorCode::InvalidEncoding => "invalid-encoding",
        ErrorCode::Timeout => "timeout",
        ErrorCode::RuntimeError => "runtime-error",
        ErrorCode::UnsupportedOperation => "unsupported-operation",
        ErrorCode::TooLarge => "too-large",
        ErrorCode::NotFound => "not-found",
        ErrorCode::Security => "security",
        ErrorCode::Unknown => "unknown",
    }
}
