//! `dunlin inspect`: what an artifact or a model file is made of, whether it is admitted, which engine runs it.

use std::fmt::Write as _;

use clap::Args;
use dunlin_node::{
    OpenOptions, Target,
    inspect::{DocumentView, Inspection, ModelView, ModuleView, WeightsView},
};
use serde_json::Value;

use super::Site;
use crate::{
    args::{AdmitArgs, EngineArgs, GlobalArgs, RegistryArgs},
    output,
    report::Failure,
};

/// Arguments of `dunlin inspect`.
#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// A reference in the store, an OCI layout folder, or a file
    #[arg(value_name = "REF|FILE")]
    target: String,
    #[command(flatten)]
    engine: EngineArgs,
    #[command(flatten)]
    admit: AdmitArgs,
}

pub(crate) fn run(global: &GlobalArgs, arguments: &InspectArgs) -> Result<(), Failure> {
    let site = Site::open(global, &arguments.admit.trust, &RegistryArgs::default())?;
    let engines = site.engines(&arguments.engine)?;
    let target = Target::parse(&arguments.target)?;
    let options = OpenOptions {
        allow_unsigned: arguments.admit.allow_unsigned,
    };
    let inspection = site.node.inspect(&target, options, &engines)?;
    output::result(global.output, &inspection, text)?;
    Ok(())
}

fn text(inspection: &Inspection) -> String {
    let mut text = format!("{}\n", inspection.target);
    if let Some(document) = &inspection.document {
        write_document(&mut text, document, 1);
    }
    let verdict = if inspection.verdict.admitted {
        "admitted"
    } else {
        "not admitted"
    };
    line(&mut text, 1, &format!("{verdict}: {}", inspection.verdict.reason));
    line(
        &mut text,
        1,
        &format!("signatures kept with it: {}", inspection.signatures.len()),
    );
    if let Some(module) = &inspection.module {
        write_module(&mut text, module);
    }
    for model in &inspection.models {
        write_model(&mut text, model);
    }
    text
}

fn line(text: &mut String, depth: usize, content: &str) {
    // What artifacts say must not steer the terminal. Writing to a String does not fail.
    let content = output::printable(content);
    let _ = writeln!(text, "{:1$}{content}", "", depth * 2);
}

fn write_document(text: &mut String, document: &DocumentView, depth: usize) {
    line(text, depth, &format!("{}  {}", document.digest, document.kind));
    for layer in &document.layers {
        let title = layer.title.as_deref().unwrap_or("-");
        let size = output::size(layer.size_bytes);
        line(
            text,
            depth + 1,
            &format!("{title}  {size}  {}  {}", layer.media_type, layer.digest),
        );
    }
    for child in &document.manifests {
        write_document(text, child, depth + 1);
    }
}

fn write_module(text: &mut String, module: &ModuleView) {
    line(text, 1, &format!("module: {}, {}", module.kind, module.world));
    for import in &module.imports {
        line(text, 2, &format!("imports {import}"));
    }
    for export in &module.exports {
        line(text, 2, &format!("exports {export}"));
    }
    line(text, 2, &format!("asks for {}", module.capabilities));
}

/// What the config says, field by field as ModelPack calls them.
fn described(model: &ModelView) -> Vec<(String, String)> {
    let descriptor = model.descriptor.as_ref().map(serde_json::to_value);
    let config = model.config.as_ref().map(serde_json::to_value);
    let objects = [descriptor, config].into_iter().flatten().flatten();
    objects.flat_map(|object| fields("", &object)).collect()
}

/// The values of an object, those of lists joined and those of objects within it named by both names.
fn fields(prefix: &str, object: &Value) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (key, value) in object.as_object().into_iter().flatten() {
        let name = format!("{prefix}{key}");
        match value {
            Value::Object(_) => found.extend(fields(&format!("{name}."), value)),
            Value::Array(list) => {
                let texts: Vec<_> = list.iter().map(plain).collect();
                found.push((name, texts.join(", ")));
            }
            // The format is shown already: of the weights, which may be another.
            _ if name == "format" => {}
            value => found.push((name, plain(value))),
        }
    }
    found
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn write_weights(text: &mut String, weights: &WeightsView) {
    let elements: Vec<_> = weights
        .elements
        .iter()
        .map(|(element, count)| format!("{count} {element}"))
        .collect();
    line(
        text,
        2,
        &format!(
            "weights: {} tensors, {} parameters ({})",
            weights.tensors,
            weights.parameters,
            elements.join(", ")
        ),
    );
    for (key, value) in &weights.properties {
        line(text, 3, &format!("{key}: {value}"));
    }
}

fn write_model(text: &mut String, model: &ModelView) {
    let engine = model.engine.unwrap_or("no engine");
    line(text, 1, &format!("model {}: {engine} ({})", model.name, model.reason));
    line(text, 2, &format!("format: {}", model.format));
    for (field, value) in described(model) {
        line(text, 2, &format!("{field}: {value}"));
    }
    if let Some(weights) = &model.weights {
        write_weights(text, weights);
    }
    for candidate in &model.candidates {
        match &candidate.refusal {
            Some(refusal) => line(text, 2, &format!("{} refuses: {refusal}", candidate.engine)),
            None => line(
                text,
                2,
                &format!(
                    "{}: {} -> {}",
                    candidate.engine,
                    candidate.inputs.join(", "),
                    candidate.outputs.join(", ")
                ),
            ),
        }
    }
}
