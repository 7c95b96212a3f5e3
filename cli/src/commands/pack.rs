//! `dunlin pack`: files into an OCI artifact in the store.
//!
//! A `.wasm` file makes a module artifact, everything else a model artifact; with `--bundle`, an index links the module with
//! its models under one digest, which is what one signs and deploys.

use std::{collections::BTreeMap, path::PathBuf};

use clap::Args;
use dunlin_models::{
    Descriptor, Reference, Store,
    artifact::{Capabilities, ModelLink},
    pack::{self, ModelFileSpec, ModelSpec, ModuleSpec},
};
use fs_err as fs;
use serde::Serialize;

use super::{
    Site,
    sandbox::{pair, size},
};
use crate::{
    args::{GlobalArgs, RegistryArgs},
    output, progress,
    report::Failure,
};

/// Arguments of `dunlin pack`.
#[derive(Debug, Args)]
pub(crate) struct PackArgs {
    /// One .wasm file, or the files of one model
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Name of the artifact in the store
    #[arg(short, long, value_name = "REF")]
    tag: Reference,
    /// An annotation of the manifest
    #[arg(short, long = "annotation", value_name = "NAME=VALUE", value_parser = pair)]
    annotations: Vec<(String, String)>,
    /// A packed model that the module may open as NAME; its digest becomes part of what is signed
    #[arg(long = "model", value_name = "NAME=REF", value_parser = pair, help_heading = "Module")]
    models: Vec<(String, String)>,
    /// Make a bundle of the module and its models; the tag names the bundle
    #[arg(long, requires = "models", help_heading = "Module")]
    bundle: bool,
    /// Memory that the module asks for (bytes, or with K, M, G)
    #[arg(long, value_name = "SIZE", value_parser = size, help_heading = "Module")]
    memory: Option<u64>,
    /// Requests that one instance of the module may answer, one after the other
    #[arg(long, value_name = "N", help_heading = "Module")]
    instance_reuse: Option<u32>,
    /// A host that the module asks to send requests to
    #[arg(long = "allow-host", value_name = "HOST", help_heading = "Module")]
    hosts: Vec<String>,
}

#[derive(Serialize)]
struct Report {
    reference: String,
    kind: &'static str,
    digest: String,
}

pub(crate) fn run(global: &GlobalArgs, arguments: &PackArgs) -> Result<(), Failure> {
    let site = Site::untrusting(global, &RegistryArgs::default())?;
    let store = site.node.store()?;
    let wasm: Vec<&PathBuf> = arguments.files.iter().filter(|file| is_wasm(file)).collect();
    let (kind, descriptor) = match (wasm.as_slice(), arguments.files.len()) {
        ([], _) => ("model", model(global, arguments, &store)?),
        ([module], 1) => module_or_bundle(arguments, module, &store)?,
        _ => {
            return Err(Failure::usage(
                "pack one .wasm file alone; pack its models on their own and name them with --model".to_owned(),
            ));
        }
    };
    store.tag(&arguments.tag, &descriptor)?;
    let report = Report {
        reference: arguments.tag.to_string(),
        kind,
        digest: descriptor.digest.to_string(),
    };
    output::result(global.output, &report, |report| {
        format!(
            "packed {} {}\n  digest  {}",
            report.kind, report.reference, report.digest
        )
    })?;
    Ok(())
}

fn is_wasm(path: &std::path::Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("wasm"))
}

fn model(global: &GlobalArgs, arguments: &PackArgs, store: &Store) -> Result<Descriptor, Failure> {
    if arguments.bundle || !arguments.models.is_empty() || arguments.instance_reuse.is_some() {
        return Err(Failure::usage(
            "--model, --bundle and --instance-reuse go with a .wasm file".to_owned(),
        ));
    }
    let mut total = 0_u64;
    for file in &arguments.files {
        total = total.saturating_add(fs::metadata(file)?.len());
    }
    let bar = progress::bar(global, "packing", total);
    let spec = ModelSpec {
        files: arguments.files.iter().map(|file| ModelFileSpec::new(file)).collect(),
        annotations: annotations(arguments),
        ..ModelSpec::default()
    };
    let descriptor = pack::pack_model(store, spec, &|bytes| bar.inc(bytes))?;
    bar.finish_and_clear();
    Ok(descriptor)
}

fn module_or_bundle(
    arguments: &PackArgs,
    module: &std::path::Path,
    store: &Store,
) -> Result<(&'static str, Descriptor), Failure> {
    let mut links = Vec::new();
    let mut models = Vec::new();
    for (name, reference) in &arguments.models {
        let reference: Reference = reference.parse()?;
        let descriptor = store.resolve(&reference)?;
        links.push(ModelLink {
            name: name.clone(),
            digest: descriptor.digest,
            reference: reference.registry().is_some().then(|| reference.to_string()),
            encoding: None,
            optional: false,
        });
        models.push(descriptor);
    }
    let capabilities = Capabilities {
        memory_mib: arguments.memory.map(mebibytes),
        instance_reuse: arguments.instance_reuse,
        hosts: arguments.hosts.clone(),
        ..Capabilities::default()
    };
    let spec = ModuleSpec {
        models: links,
        capabilities: (capabilities != Capabilities::default()).then_some(capabilities),
        annotations: annotations(arguments),
        ..ModuleSpec::from_file(module)?
    };
    let packed = pack::pack_module(store, spec)?;
    if !arguments.bundle {
        return Ok(("module", packed));
    }
    Ok(("bundle", pack::pack_bundle(store, &packed, &models)?))
}

/// Whole mebibytes that hold `bytes`.
fn mebibytes(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(1 << 20)).unwrap_or(u32::MAX)
}

fn annotations(arguments: &PackArgs) -> BTreeMap<String, String> {
    arguments.annotations.iter().cloned().collect()
}
