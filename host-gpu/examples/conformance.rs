//! Counts the ONNX test cases that pass: folders of `model.onnx` with `test_data_set_0/{input,output}_N.pb` each.
//!
//! `conformance FOLDER [--engine tract|ort] [--ort LIBRARY]` prints one line per case that does not pass, then the counts.
#![allow(clippy::print_stdout, reason = "a program for the terminal")]

use std::{
    collections::BTreeMap,
    error::Error,
    path::{Path, PathBuf},
    sync::Arc,
};

use dunlin_host_gpu::{
    CancelToken, ElementType, Encoding, EngineConfig, Engines, ModelSource, NamedTensor, Tensor, onnx_proto,
};

/// As the ONNX backend tests do.
const RELATIVE_TOLERANCE: f64 = 1e-3;
const ABSOLUTE_TOLERANCE: f64 = 1e-6;

fn main() -> Result<(), Box<dyn Error>> {
    let usage = "usage: conformance FOLDER [--engine E] [--ort LIB]";
    let mut words = std::env::args().skip(1);
    let folder = PathBuf::from(words.next().ok_or(usage)?);
    let mut config = EngineConfig::default();
    while let Some(word) = words.next() {
        let value = words.next().ok_or(usage)?;
        match word.as_str() {
            "--engine" => config.choice = value.parse()?,
            "--ort" => config.ort_library = Some(value.into()),
            _ => return Err(usage.into()),
        }
    }
    let engines = Engines::new(config)?;
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut cases: Vec<_> = fs_err::read_dir(&folder)?
        .map(|entry| Ok(entry?.path()))
        .collect::<std::io::Result<_>>()?;
    cases.sort();
    for case in cases.iter().filter(|case| case.join("model.onnx").is_file()) {
        let (outcome, detail) = match run(&engines, case) {
            Ok(()) => ("passed", String::new()),
            Err((outcome, detail)) => (outcome, detail),
        };
        *counts.entry(outcome).or_default() += 1;
        if outcome != "passed" {
            println!(
                "{outcome} {}: {detail}",
                case.file_name().unwrap_or_default().to_string_lossy()
            );
        }
    }
    println!("{counts:?}");
    Ok(())
}

type Failure = (&'static str, String);

fn run(engines: &Engines, case: &Path) -> Result<(), Failure> {
    let failure = |outcome: &'static str| move |error: &dyn Error| (outcome, chain(error));
    let bytes = fs_err::read(case.join("model.onnx")).map_err(|error| failure("unreadable")(&error))?;
    let source = ModelSource::new(case.display().to_string(), Encoding::Onnx, Arc::new(bytes));
    let graph = engines.load(&source).map_err(|error| failure("not-loaded")(&error))?;
    let names = |specs: &[dunlin_host_gpu::TensorSpec]| specs.iter().map(|spec| spec.name.clone()).collect::<Vec<_>>();
    let data = case.join("test_data_set_0");
    let inputs = tensors(&data, "input", &names(&graph.signature().inputs))?;
    let expected = tensors(&data, "output", &names(&graph.signature().outputs))?;
    let mut context = graph
        .init_execution_context()
        .map_err(|error| failure("no-context")(&error))?;
    let outputs = context
        .compute(inputs, &CancelToken::new())
        .map_err(|error| failure("not-computed")(&error))?;
    if outputs.len() != expected.len() {
        return Err((
            "wrong",
            format!("{} outputs instead of {}", outputs.len(), expected.len()),
        ));
    }
    outputs
        .iter()
        .zip(&expected)
        .try_for_each(|(output, expected)| compare(&output.tensor, &expected.tensor))
}

fn tensors(data: &Path, kind: &str, names: &[String]) -> Result<Vec<NamedTensor>, Failure> {
    let read = |(index, name): (usize, &String)| {
        let bytes =
            fs_err::read(data.join(format!("{kind}_{index}.pb"))).map_err(|error| ("unreadable", chain(&error)))?;
        let tensor = onnx_proto::read(&bytes)
            .map_err(|error| ("unreadable", chain(&error)))?
            .tensor;
        Ok(NamedTensor {
            name: name.clone(),
            tensor,
        })
    };
    names.iter().enumerate().map(read).collect()
}

fn compare(output: &Tensor, expected: &Tensor) -> Result<(), Failure> {
    if output.element_type() != expected.element_type() || output.shape() != expected.shape() {
        return Err(("wrong", format!("{output:?} instead of {expected:?}")));
    }
    for (index, (a, b)) in numbers(output).into_iter().zip(numbers(expected)).enumerate() {
        let close = (a - b).abs() <= ABSOLUTE_TOLERANCE + RELATIVE_TOLERANCE * b.abs();
        if !(close || a == b || (a.is_nan() && b.is_nan())) {
            return Err(("wrong", format!("element {index} is {a} instead of {b}")));
        }
    }
    Ok(())
}

fn numbers(tensor: &Tensor) -> Vec<f64> {
    let size = tensor.element_type().size_bytes();
    let number = |bytes: &[u8]| {
        let mut wide = [0; 8];
        wide[..size].copy_from_slice(bytes);
        let [a, b, c, d, ..] = wide;
        match tensor.element_type() {
            ElementType::F16 => half::f16::from_le_bytes([a, b]).to_f64(),
            ElementType::Bf16 => half::bf16::from_le_bytes([a, b]).to_f64(),
            ElementType::F32 => f32::from_le_bytes([a, b, c, d]).into(),
            ElementType::F64 => f64::from_le_bytes(wide),
            ElementType::U8 | ElementType::Bool => a.into(),
            ElementType::I8 => i8::from_le_bytes([a]).into(),
            ElementType::U16 => u16::from_le_bytes([a, b]).into(),
            ElementType::I16 => i16::from_le_bytes([a, b]).into(),
            ElementType::U32 => u32::from_le_bytes([a, b, c, d]).into(),
            ElementType::I32 => i32::from_le_bytes([a, b, c, d]).into(),
            ElementType::U64 => u64::from_le_bytes(wide) as f64,
            ElementType::I64 => i64::from_le_bytes(wide) as f64,
        }
    };
    tensor.data().chunks_exact(size).map(number).collect()
}

fn chain(error: &dyn Error) -> String {
    std::iter::successors(Some(error), |&error| error.source())
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}
