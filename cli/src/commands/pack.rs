//! `dunlin pack`: files into an OCI artifact in the store.
//!
//! The options are a recipe too, the same that a `dunlin.toml` holds. A `.wasm` file makes a module artifact, everything else
//! a model artifact; with `--bundle`, an index links the module with its models under one digest, which is what one signs
//! and deploys; with `--fat`, one manifest holds both.

use std::path::{Path, PathBuf};

use clap::Args;
use dunlin_models::{Reference, artifact::Capabilities};
use dunlin_node::recipe::{Content, Form, LinkedModel, ModelRecipe, ModelSource, ModuleRecipe, RECIPE_FILE, Recipe};
use serde::Serialize;

use super::{
    Site,
    description::DescriptionArgs,
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
    /// One .wasm file, the files or the folder of one model, or a recipe: a .toml file, or a folder with a dunlin.toml
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Name of the artifact in the store (default: the recipe's)
    #[arg(short, long, value_name = "REF")]
    tag: Option<Reference>,
    /// An annotation of the manifest
    #[arg(short, long = "annotation", value_name = "NAME=VALUE", value_parser = pair)]
    annotations: Vec<(String, String)>,
    /// A packed model that the module may open as NAME; its digest becomes part of what is signed
    #[arg(long = "model", value_name = "NAME=REF", value_parser = pair, help_heading = "Module")]
    models: Vec<(String, String)>,
    /// Make a bundle of the module and its models; the tag names the bundle
    #[arg(long, requires = "models", help_heading = "Module")]
    bundle: bool,
    /// Make one manifest of the module and its one model: files named beside the .wasm file, or --model NAME=REF
    #[arg(long, conflicts_with = "bundle", help_heading = "Module")]
    fat: bool,
    /// Make a container image with tar layers instead of an artifact: for containerd 1.6
    #[arg(long, conflicts_with_all = ["bundle", "fat", "models"], help_heading = "Module")]
    image: bool,
    /// Memory that the module asks for (bytes, or with K, M, G)
    #[arg(long, value_name = "SIZE", value_parser = size, help_heading = "Module")]
    memory: Option<u64>,
    /// Requests that one instance of the module may answer, one after the other
    #[arg(long, value_name = "N", help_heading = "Module")]
    instance_reuse: Option<u32>,
    /// A host that the module asks to send requests to
    #[arg(long = "allow-host", value_name = "HOST", help_heading = "Module")]
    hosts: Vec<String>,
    #[command(flatten)]
    description: DescriptionArgs,
}

impl PackArgs {
    /// Whether there are options about a module.
    fn is_about_a_module(&self) -> bool {
        self.bundle
            || self.fat
            || self.image
            || !self.models.is_empty()
            || self.memory.is_some()
            || self.instance_reuse.is_some()
            || !self.hosts.is_empty()
    }
}

#[derive(Serialize)]
struct Report {
    reference: String,
    kind: &'static str,
    digest: String,
}

pub(crate) fn run(global: &GlobalArgs, arguments: &PackArgs) -> Result<(), Failure> {
    let site = Site::untrusting(global, &RegistryArgs::default())?;
    pack(global, &site, &recipe(arguments)?)
}

/// Packs `recipe` and prints what it became.
pub(crate) fn pack(global: &GlobalArgs, site: &Site, recipe: &Recipe) -> Result<(), Failure> {
    let Some(tag) = recipe.tag.clone() else {
        return Err(Failure::usage(
            "name the artifact: --tag REF, or `tag` in the recipe".to_owned(),
        ));
    };
    let bar = progress::bar(global, "packing", recipe.size_bytes());
    let packed = site.node.pack(recipe, &|bytes| bar.inc(bytes))?;
    bar.finish_and_clear();
    let report = Report {
        reference: tag.to_string(),
        kind: packed.kind,
        digest: packed.descriptor.digest.to_string(),
    };
    output::result(global.output, &report, |report| {
        format!(
            "packed {} {}\n  digest  {}",
            report.kind, report.reference, report.digest
        )
    })?;
    Ok(())
}

/// What was typed, as a recipe; a folder or a `.toml` file is one already.
fn recipe(arguments: &PackArgs) -> Result<Recipe, Failure> {
    if let [file] = arguments.files.as_slice()
        && (is_recipe(file) || file.join(RECIPE_FILE).is_file())
    {
        if arguments.is_about_a_module() || !arguments.description.is_empty() {
            return Err(Failure::usage(
                "a recipe says what it packs; only --tag and --annotation go with it".to_owned(),
            ));
        }
        let mut recipe = Recipe::read(file)?;
        recipe.annotations.extend(arguments.annotations.iter().cloned());
        recipe.tag = arguments.tag.clone().or(recipe.tag);
        return Ok(recipe);
    }
    let wasm: Vec<&PathBuf> = arguments.files.iter().filter(|file| is_wasm(file)).collect();
    let content = match (wasm.as_slice(), arguments.files.len()) {
        ([], _) => Content::Model(Box::new(model(arguments)?)),
        ([file], 1) => Content::Module(Box::new(module(arguments, file)?)),
        ([file], _) if arguments.fat && arguments.models.is_empty() => {
            Content::Module(Box::new(fat_module(arguments, file)?))
        }
        _ => {
            return Err(Failure::usage(
                "pack one .wasm file alone; pack its models on their own and name them with --model, or use --fat"
                    .to_owned(),
            ));
        }
    };
    Ok(Recipe {
        tag: arguments.tag.clone(),
        annotations: arguments.annotations.iter().cloned().collect(),
        content,
    })
}

fn model(arguments: &PackArgs) -> Result<ModelRecipe, Failure> {
    if arguments.is_about_a_module() {
        return Err(Failure::usage(
            "--model, --bundle, --fat, --memory, --allow-host and --instance-reuse go with a .wasm file".to_owned(),
        ));
    }
    Ok(ModelRecipe {
        files: arguments.files.clone(),
        description: arguments.description.description(),
        parameters: arguments.description.parameters(),
    })
}

/// A module with the files of its model beside it on the command line.
fn fat_module(arguments: &PackArgs, file: &Path) -> Result<ModuleRecipe, Failure> {
    let files = arguments.files.iter().filter(|other| *other != file);
    let mut recipe = module(arguments, file)?;
    recipe.models.push(LinkedModel {
        name: "default".to_owned(),
        source: ModelSource::Files(
            Box::new(ModelRecipe {
                files: files.cloned().collect(),
                ..ModelRecipe::default()
            }),
            None,
        ),
        encoding: None,
        optional: false,
    });
    Ok(recipe)
}

fn module(arguments: &PackArgs, file: &Path) -> Result<ModuleRecipe, Failure> {
    if !arguments.description.is_empty() {
        return Err(Failure::usage(
            "options of models do not go with a .wasm file: describe the model when you pack it".to_owned(),
        ));
    }
    let mut models = Vec::new();
    for (name, reference) in &arguments.models {
        models.push(LinkedModel {
            name: name.clone(),
            source: ModelSource::Packed(reference.parse::<Reference>()?),
            encoding: None,
            optional: false,
        });
    }
    Ok(ModuleRecipe {
        file: file.to_owned(),
        build: None,
        folder: PathBuf::new(),
        capabilities: Capabilities {
            memory_mib: arguments.memory.map(mebibytes),
            instance_reuse: arguments.instance_reuse,
            hosts: arguments.hosts.clone(),
            ..Capabilities::default()
        },
        models,
        form: match (arguments.bundle, arguments.fat, arguments.image) {
            (true, ..) => Form::Bundle,
            (_, true, _) => Form::Fat,
            (.., true) => Form::Image,
            _ => Form::Module,
        },
    })
}

fn has_extension(path: &Path, wanted: &str) -> bool {
    path.extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case(wanted))
}

fn is_wasm(path: &Path) -> bool {
    has_extension(path, "wasm")
}

fn is_recipe(path: &Path) -> bool {
    has_extension(path, "toml")
}

/// Whole mebibytes that hold `bytes`.
fn mebibytes(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(1 << 20)).unwrap_or(u32::MAX)
}
