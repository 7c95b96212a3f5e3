//! CPU time of one inference on one thread: our two engines, and onnxruntime's own Python, on every fixture.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::{
    places::Places,
    samples::{Samples, compare},
};

const ROUNDS: usize = 5;
const RUNS: &str = "8";
const MODELS: [&str; 6] = [
    "minilm",
    "minilm-int8",
    "efficientnet-lite0",
    "ppocr-rec",
    "magika",
    "silero",
];
const PEER: &str = include_str!("onnxruntime_peer.py");

pub(crate) fn run(places: &Places) -> Result<()> {
    println!("infer: CPU ms of one inference, one thread, {ROUNDS} interleaved rounds of {RUNS}");
    let library = places.cached("assets/onnxruntime/libonnxruntime.so")?;
    let script = places.scratch().join("peer.py");
    fs_err::write(&script, PEER)?;
    for model in MODELS {
        let fixture = places.cached(&format!("fixtures/{model}"))?;
        let inputs = first_step(&fixture)?;
        let (mut python, mut ort, mut tract) = (Samples::default(), Samples::default(), Samples::default());
        for _ in 0..ROUNDS {
            python.push(peer(places, &script, &fixture, &inputs)?);
            tract.push(ours(places, &fixture, &inputs, &["--engine", "tract"])?);
            let named = library.to_str().context("the library's path is no UTF-8")?;
            ort.push(ours(
                places,
                &fixture,
                &inputs,
                &["--engine", "ort", "--onnxruntime", named],
            )?);
        }
        println!(" {model}");
        compare(
            "ms",
            &[
                ("onnxruntime (Python)", &python),
                ("dunlin, ort", &ort),
                ("dunlin, tract", &tract),
            ],
        );
    }
    Ok(())
}

/// The file of `input` in the first step of a fixture.
pub(crate) fn input_file(fixture: &Path, input: &str) -> Result<PathBuf> {
    let inputs = first_step(fixture)?;
    let found = inputs.into_iter().find(|(name, _)| name == input);
    found
        .map(|(_, file)| file)
        .with_context(|| format!("{} has no input {input}", fixture.display()))
}

fn first_step(fixture: &Path) -> Result<Vec<(String, PathBuf)>> {
    let case: Value = serde_json::from_slice(&fs_err::read(fixture.join("case.json"))?)?;
    let inputs = case["steps"][0]["inputs"]
        .as_object()
        .context("a case without inputs")?;
    inputs
        .iter()
        .map(|(name, file)| {
            Ok((
                name.clone(),
                fixture.join(file.as_str().context("an input that is no file")?),
            ))
        })
        .collect()
}

fn ours(places: &Places, fixture: &Path, inputs: &[(String, PathBuf)], engine: &[&str]) -> Result<f64> {
    let mut command = places.dunlin();
    command.args([
        "infer",
        "--quiet",
        "--allow-unsigned",
        "--output",
        "json",
        "--repeat",
        RUNS,
        "--threads",
        "1",
    ]);
    command.args(engine);
    for (name, file) in inputs {
        command.arg("--in").arg(format!("{name}={}", file.display()));
    }
    let output = command.arg(fixture.join("model.onnx")).output()?;
    ensure!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let report: Value = serde_json::from_slice(&output.stdout)?;
    report["latency"]["cpu_ms"]["p50"]
        .as_f64()
        .context("no latency in the report")
}

fn peer(places: &Places, script: &Path, fixture: &Path, inputs: &[(String, PathBuf)]) -> Result<f64> {
    let mut command = std::process::Command::new(places.python()?);
    command.arg(script).arg(fixture.join("model.onnx")).arg(RUNS);
    for (name, file) in inputs {
        command.arg(format!("{name}={}", file.display()));
    }
    let output = command.output()?;
    ensure!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8_lossy(&output.stdout).trim().parse()?)
}
