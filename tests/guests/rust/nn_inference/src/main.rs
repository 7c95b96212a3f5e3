//! A command that runs the model `add` (C = A + B, vectors of floats) through `dunlin:inference`: `nn_inference [MODE]`.
//! Prints one line, and exits with 1 where the host did not do what it must.
//!
//! - no mode: what the model says of itself; one tensor as input of two computes; an output as the next input
//! - `tensors`: reads, slices and shapes, right and wrong
//! - `errors`: mistakes, each with its case
//! - `text`: every function for language models
//! - `flood`: tensors until the host refuses

use std::process::ExitCode;

#[allow(
    unsafe_code,
    missing_docs,
    reason = "generated: the calling convention of components"
)]
mod bindings {
    wit_bindgen::generate!({
        world: "imports",
        path: "../../../../runtime/wit",
        generate_all,
    });
}

use bindings::dunlin::inference::{
    models::Model,
    tensors::Tensor,
    text,
    types::{Dim, ElementType, Error},
};

type Outcome = Result<String, String>;

fn main() -> ExitCode {
    let mode = std::env::args().nth(1).unwrap_or_default();
    let outcome = match mode.as_str() {
        "" => add(),
        "tensors" => tensors(),
        "errors" => errors(),
        "text" => language(),
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

fn floats(numbers: &[f32]) -> Result<Tensor, Error> {
    let data: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    Tensor::from_bytes(ElementType::F32, &[numbers.len() as u64], &data)
}

fn numbers(tensor: &Tensor) -> Vec<f32> {
    let data = tensor.read_all();
    let (numbers, _) = data.as_chunks();
    numbers.iter().map(|&number| f32::from_le_bytes(number)).collect()
}

fn run(model: &Model, a: &Tensor, b: &Tensor) -> Result<Tensor, Error> {
    let inputs = [("A".to_owned(), a), ("B".to_owned(), b)];
    let outputs = model.run(&inputs, None)?;
    let mut outputs = outputs.into_iter();
    match (outputs.next(), outputs.next()) {
        (Some((name, sums)), None) if name == "C" => Ok(sums),
        _ => Err(Error::Failed("other outputs than C".to_owned())),
    }
}

fn add() -> Outcome {
    let model = Model::open("add").map_err(tell)?;
    let inputs = model.inputs();
    let spec = inputs.first().ok_or("no inputs")?;
    let symbol = spec.shape.as_deref();
    let Some([Dim::Named(free)]) = symbol else {
        return Err(format!("{spec:?}"));
    };
    let (a, b) = (floats(&[1.0, 2.0]).map_err(tell)?, floats(&[0.5, 0.25]).map_err(tell)?);
    let sums = run(&model, &a, &b).map_err(tell)?;
    let more = run(&model, &sums, &a).map_err(tell)?;
    let described = format!(
        "{} {:?}[{free}] {} outputs",
        spec.name,
        spec.element_type,
        model.outputs().len()
    );
    Ok(format!(
        "{described}, digest {:?}: {:?} {:?}",
        model.digest(),
        numbers(&sums),
        numbers(&more)
    ))
}

fn tensors() -> Outcome {
    let all = floats(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]).map_err(tell)?;
    let table = all.reshape(&[3, 2]).map_err(tell)?;
    let row = table.slice(1, 1).map_err(tell)?;
    let part = table.read(4, 8).map_err(tell)?;
    let found = (row.shape(), numbers(&row), part.len(), table.byte_length(), all.shape());
    if found != (vec![1, 2], vec![2.0, 3.0], 8, 24, vec![6]) {
        return Err(format!("{found:?}"));
    }
    let wrong = [
        case(all.reshape(&[4])),
        case(all.reshape(&[u64::MAX, u64::MAX])),
        case(table.slice(3, 1)),
        case(table.slice(u64::MAX, u64::MAX)),
        case(table.read(u64::MAX, 1)),
        case(table.read(0, 25)),
        case(Tensor::from_bytes(ElementType::F64, &[1], &[0; 4])),
        case(Tensor::from_bytes(ElementType::U8, &[1; 100], &[0])),
    ];
    let scalar = Tensor::from_bytes(ElementType::Bool, &[], &[1]).map_err(tell)?;
    if !scalar.shape().is_empty() || case(scalar.slice(0, 1)) != "invalid" {
        return Err("a scalar".to_owned());
    }
    Ok(wrong.join(" "))
}

fn errors() -> Outcome {
    let model = Model::open("add").map_err(tell)?;
    let a = floats(&[1.0]).map_err(tell)?;
    let two = floats(&[1.0, 2.0]).map_err(tell)?;
    let named = |name: &str| (name.to_owned(), &a);
    let cases = [
        case(Model::open("no-such-model")),
        case(Model::open(&"x".repeat(100_000))),
        case(model.run(&[named("A")], None)),
        case(model.run(&[named("A"), named("B"), named("D")], None)),
        case(model.run(&[named("A"), ("B".to_owned(), &two)], None)),
        case(model.run(&[named("A"), named("B")], Some(&["D".to_owned()]))),
        case(model.run(&[named("A"), named("B")], Some(&[]))),
    ];
    Ok(cases.join(" "))
}

fn language() -> Outcome {
    let message = || text::Message {
        role: text::Role::User,
        content: "hello".to_owned(),
    };
    let sampling = text::Sampling {
        max_tokens: Some(1),
        temperature: None,
        top_p: None,
        top_k: None,
        seed: Some(7),
        stop: vec!["stop".to_owned()],
    };
    let cases = [
        case(text::apply_template("add", &[message()])),
        case(text::generate("add", &[message()], &sampling)),
        case(text::embed("add", &["hello".to_owned()])),
        case(text::tokenize("add", "hello")),
        case(text::count("add", "hello")),
    ];
    Ok(cases.join(" "))
}

fn flood() -> Outcome {
    let zeros = vec![0.0; 1 << 18];
    let mut kept = Vec::new();
    while kept.len() < 1 << 16 {
        match floats(&zeros) {
            Ok(tensor) => kept.push(tensor),
            Err(Error::TooLarge(_)) => {
                let made = kept.len();
                kept.pop();
                floats(&zeros).map_err(tell)?;
                return Ok(format!("too-large after {made} MiB"));
            }
            Err(other) => return Err(tell(other)),
        }
    }
    Err("the host has no limit".to_owned())
}

fn case<T>(outcome: Result<T, Error>) -> &'static str {
    match outcome {
        Ok(_) => "ok",
        Err(Error::Invalid(_)) => "invalid",
        Err(Error::NotFound(_)) => "not-found",
        Err(Error::Denied(_)) => "denied",
        Err(Error::TooLarge(_)) => "too-large",
        Err(Error::Busy(_)) => "busy",
        Err(Error::Deadline) => "deadline",
        Err(Error::Unsupported(_)) => "unsupported",
        Err(Error::Failed(_)) => "failed",
    }
}

fn tell(error: Error) -> String {
    format!("{error:?}")
}
