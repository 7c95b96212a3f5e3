//! The sandbox's price: a request to the embed guest against the same model called natively, on the same tokens, through the
//! same engine.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Stdio},
    time::Instant,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::{
    places::Places,
    samples::{Samples, compare},
};

const ROUNDS: usize = 8;
const PER_ROUND: usize = 12;

pub(crate) fn run(places: &Places) -> Result<()> {
    println!("embed: one request with the fixture's sentences, {ROUNDS} interleaved rounds of {PER_ROUND}");
    let fixture = places.cached("fixtures/minilm-int8")?;
    let sentences: Value = serde_json::from_slice(&fs_err::read(places.cached("fixtures/minilm/sentences.json")?)?)?;
    let body = json!({ "input": sentences["input"] }).to_string();
    let server = Server::start(places)?;
    server.request(&body)?;
    let (mut native, mut sandboxed) = (Samples::default(), Samples::default());
    for _ in 0..ROUNDS {
        native.push(infer(places, &fixture)?);
        let mut round = Samples::default();
        for _ in 0..PER_ROUND {
            let started = Instant::now();
            server.request(&body)?;
            round.push(started.elapsed().as_secs_f64() * 1e3);
        }
        sandboxed.push(round.median());
    }
    compare(
        "ms",
        &[
            ("native (dunlin infer, tract)", &native),
            ("sandbox (HTTP, tokenise, compute, pool)", &sandboxed),
        ],
    );
    println!(
        "  price of the sandbox: {:.1} %",
        (sandboxed.median() / native.median() - 1.0) * 100.0
    );
    Ok(())
}

/// Median wall time of the model alone, in milliseconds.
fn infer(places: &Places, fixture: &std::path::Path) -> Result<f64> {
    let mut command = places.dunlin();
    command.args([
        "infer",
        "--quiet",
        "--allow-unsigned",
        "--output",
        "json",
        "--repeat",
        "12",
        "--engine",
        "tract",
    ]);
    for input in ["input_ids", "attention_mask", "token_type_ids"] {
        let file = crate::infer::input_file(fixture, input)?;
        command.arg("--in").arg(format!("{input}={}", file.display()));
    }
    let output = command.arg(fixture.join("model.onnx")).output()?;
    ensure!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let report: Value = serde_json::from_slice(&output.stdout)?;
    report["latency"]["wall_ms"]["p50"]
        .as_f64()
        .context("no latency in the report")
}

struct Server {
    child: Child,
    url: String,
}

impl Server {
    fn start(places: &Places) -> Result<Self> {
        let model = format!("default={}", pack(places)?);
        let mut child = places
            .dunlin()
            .args([
                "serve",
                "--quiet",
                "--allow-unsigned",
                "--addr",
                "127.0.0.1:0",
                "--engine",
                "tract",
            ])
            .args(["--instance-reuse", "1000000", "--model", &model])
            .arg(places.cached("guests/embed.wasm")?)
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = child.stdout.take().context("no standard output")?;
        let line = BufReader::new(stdout).lines().next().context("dunlin serve ended")??;
        let address = line
            .strip_prefix("listening on ")
            .context("dunlin serve does not listen")?;
        Ok(Self {
            child,
            url: format!("{address}/embed"),
        })
    }

    fn request(&self, body: &str) -> Result<()> {
        let mut response = ureq::post(&self.url)
            .header("content-type", "application/json")
            .send(body)?;
        ensure!(!response.body_mut().read_to_vec()?.is_empty(), "an empty answer");
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The model with its tokenizer as an artifact, as the guest wants it.
fn pack(places: &Places) -> Result<&'static str> {
    const NAME: &str = "bench/minilm:1";
    let output = places
        .dunlin()
        .args(["pack", "--quiet", "--tag", NAME])
        .arg(places.cached("fixtures/minilm-int8/model.onnx")?)
        .arg(places.cached("assets/minilm/tokenizer.json")?)
        .arg(places.cached("assets/minilm/vocab.txt")?)
        .output()?;
    ensure!(
        output.status.success(),
        "packing the model failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(NAME)
}
