//! Runs one ONNX model on `.npy` inputs and writes its outputs as `.npy`: the engines without anything around them.
//!
//! `infer MODEL OUT_DIR [--engine auto|tract|ort] [--ort LIBRARY] [--repeat N] NAME=FILE.npy...`
#![allow(clippy::print_stdout, reason = "a program for the terminal")]

use std::{error::Error, path::PathBuf, sync::Arc, time::Instant};

use dunlin_host_gpu::{CancelToken, Encoding, EngineConfig, Engines, ModelSource, NamedTensor, npy};

struct Arguments {
    model: PathBuf,
    out: PathBuf,
    config: EngineConfig,
    repeat: usize,
    inputs: Vec<NamedTensor>,
}

fn arguments() -> Result<Arguments, Box<dyn Error>> {
    let usage = "usage: infer MODEL OUT_DIR [--engine E] [--ort LIB] [--repeat N] NAME=FILE.npy...";
    let mut words = std::env::args().skip(1);
    let model = words.next().ok_or(usage)?.into();
    let out = words.next().ok_or(usage)?.into();
    let mut arguments = Arguments {
        model,
        out,
        config: EngineConfig::default(),
        repeat: 1,
        inputs: Vec::new(),
    };
    while let Some(word) = words.next() {
        match word.as_str() {
            "--engine" => arguments.config.choice = words.next().ok_or(usage)?.parse()?,
            "--ort" => arguments.config.ort_library = Some(words.next().ok_or(usage)?.into()),
            "--repeat" => arguments.repeat = words.next().ok_or(usage)?.parse()?,
            _ => {
                let (name, file) = word.split_once('=').ok_or(usage)?;
                arguments.inputs.push(NamedTensor {
                    name: name.into(),
                    tensor: npy::read(&fs_err::read(file)?)?,
                });
            }
        }
    }
    Ok(arguments)
}

fn main() -> Result<(), Box<dyn Error>> {
    let Arguments {
        model,
        out,
        config,
        repeat,
        inputs,
    } = arguments()?;
    let engines = Engines::new(config)?;
    let bytes = Arc::new(fs_err::read(&model)?);
    let source = ModelSource::new(model.display().to_string(), Encoding::Onnx, bytes);
    let started = Instant::now();
    let graph = engines.load(&source)?;
    println!("{} loaded it in {:?}", graph.engine(), started.elapsed());
    for spec in &graph.signature().inputs {
        println!("input  {spec}");
    }
    for spec in &graph.signature().outputs {
        println!("output {spec}");
    }
    let mut context = graph.init_execution_context()?;
    let mut outputs = Vec::new();
    for round in 0..repeat {
        let started = Instant::now();
        outputs = context.compute(inputs.clone(), &CancelToken::new())?;
        println!("compute {round}: {:?}", started.elapsed());
    }
    println!("{} MiB resident", graph.resident_bytes() >> 20);
    fs_err::create_dir_all(&out)?;
    for NamedTensor { name, tensor } in &outputs {
        let file: String = name
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
            .collect();
        fs_err::write(out.join(format!("{file}.npy")), npy::write(tensor))?;
        println!("{name}: {tensor:?}");
    }
    Ok(())
}
