//! `dunlin infer`: a model without any guest.

use std::{path::PathBuf, sync::Arc, time::Duration};

use clap::Args;
use dunlin_node::{CancelToken, NamedTensor, Opened, ResidentModels, Signature, infer};
use serde::Serialize;

use super::{Site, sandbox::pair};
use crate::{
    args::{AdmitArgs, EngineArgs, GlobalArgs, RegistryArgs},
    output,
    report::Failure,
};

/// Arguments of `dunlin infer`.
#[derive(Debug, Args)]
pub(crate) struct InferArgs {
    /// A reference, an OCI layout folder, or a model file
    #[arg(value_name = "MODEL")]
    target: String,
    /// The value of an input: a .npy file or an ONNX TensorProto (.pb)
    #[arg(long = "in", value_name = "NAME=FILE", value_parser = pair)]
    inputs: Vec<(String, String)>,
    /// Write each output to FOLDER/NAME.npy
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Run this many times and print how long it took
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    repeat: u32,
    #[command(flatten)]
    engine: EngineArgs,
    #[command(flatten)]
    admit: AdmitArgs,
    #[command(flatten)]
    registry: RegistryArgs,
}

#[derive(Serialize)]
struct Report {
    model: String,
    engine: &'static str,
    load_ms: f64,
    outputs: Vec<Output>,
    #[serde(skip_serializing_if = "Option::is_none")]
    latency: Option<Latency>,
}

#[derive(Serialize)]
struct Output {
    name: String,
    element_type: String,
    shape: Vec<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<PathBuf>,
}

/// Quantiles in milliseconds over `runs` runs.
#[derive(Serialize)]
struct Latency {
    runs: usize,
    wall_ms: Quantiles,
    cpu_ms: Quantiles,
}

#[derive(Serialize)]
struct Quantiles {
    min: f64,
    p50: f64,
    p90: f64,
    p99: f64,
    max: f64,
}

pub(crate) async fn run(global: &GlobalArgs, arguments: &InferArgs) -> Result<(), Failure> {
    let site = Site::open(global, &arguments.admit.trust, &arguments.registry)?;
    let model = match site.target(&arguments.target, arguments.admit.allow_unsigned).await? {
        Opened::Model(model) => model,
        Opened::Module(module) => only_model(module)?,
    };
    let inputs: Vec<NamedTensor> = arguments
        .inputs
        .iter()
        .map(|(name, file)| infer::read_input(name, file.as_ref()))
        .collect::<Result<_, _>>()?;
    let resident = ResidentModels::new(Arc::new(site.engines(&arguments.engine)?));
    let started = std::time::Instant::now();
    let graph = resident.graph(&model).await?;
    let load_ms = millis(started.elapsed());
    let (runs, engine) = (arguments.repeat, graph.engine());
    if inputs.is_empty() && !graph.signature().inputs.is_empty() {
        return Err(Failure::usage(format!(
            "the model needs inputs (--in NAME=FILE):\n{}",
            inputs_of(graph.signature())
        )));
    }
    let inference = tokio::task::spawn_blocking(move || infer::run(&graph, &inputs, runs, &CancelToken::new()))
        .await
        .map_err(|_panic| Failure::engine("the inference thread died".to_owned()))??;
    let files = match &arguments.out {
        Some(folder) => infer::write_outputs(folder, &inference.outputs)?
            .into_iter()
            .map(Some)
            .collect(),
        None => vec![None; inference.outputs.len()],
    };
    let outputs = inference.outputs.iter().zip(files).map(|(output, file)| Output {
        name: output.name.clone(),
        element_type: output.tensor.element_type().to_string(),
        shape: output.tensor.shape().to_vec(),
        file,
    });
    let report = Report {
        model: model.name().to_owned(),
        engine,
        load_ms,
        outputs: outputs.collect(),
        latency: (runs > 1).then(|| Latency {
            runs: inference.wall.len(),
            wall_ms: quantiles(&inference.wall),
            cpu_ms: quantiles(&inference.cpu),
        }),
    };
    output::result(global.output, &report, text)?;
    Ok(())
}

/// The one model of a bundle.
fn only_model(module: dunlin_node::Module) -> Result<dunlin_node::Model, Failure> {
    let names: Vec<String> = module.models.keys().cloned().collect();
    let mut models = module.models.into_values();
    match (models.next(), models.next()) {
        (Some(model), None) => Ok(model),
        _ => Err(Failure::usage(format!(
            "`{}` is a module with the models [{}]: name one model",
            module.name,
            names.join(", ")
        ))),
    }
}

fn inputs_of(signature: &Signature) -> String {
    signature.inputs.iter().map(|input| format!("  {input}\n")).collect()
}

fn text(report: &Report) -> String {
    let mut text = format!(
        "{} on {}, loaded in {:.1} ms\n",
        report.model, report.engine, report.load_ms
    );
    for output in &report.outputs {
        let place = output
            .file
            .as_ref()
            .map_or_else(String::new, |file| format!("  -> {}", file.display()));
        text.push_str(&format!(
            "  {}: {} {:?}{place}\n",
            output.name, output.element_type, output.shape
        ));
    }
    if let Some(latency) = &report.latency {
        for (what, q) in [("wall", &latency.wall_ms), ("cpu", &latency.cpu_ms)] {
            text.push_str(&format!(
                "  {what:<4} ms over {} runs: min {:.3}  p50 {:.3}  p90 {:.3}  p99 {:.3}  max {:.3}\n",
                latency.runs, q.min, q.p50, q.p90, q.p99, q.max
            ));
        }
    }
    text
}

fn quantiles(samples: &[Duration]) -> Quantiles {
    let at = |fraction| millis(infer::quantile(samples, fraction));
    Quantiles {
        min: at(0.0),
        p50: at(0.5),
        p90: at(0.9),
        p99: at(0.99),
        max: at(1.0),
    }
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
