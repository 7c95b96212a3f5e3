//! `dunlin build`: runs a project's build command, then packs what it made.

use std::path::PathBuf;

use clap::Args;
use dunlin_models::Reference;
use dunlin_node::{
    build::build,
    recipe::{Content, Recipe},
};

use super::{Site, pack};
use crate::{
    args::{GlobalArgs, RegistryArgs},
    report::Failure,
};

/// Arguments of `dunlin build`.
#[derive(Debug, Args)]
pub(crate) struct BuildArgs {
    /// The project: a folder with a dunlin.toml, or a .toml file
    #[arg(value_name = "PROJECT", default_value = ".")]
    project: PathBuf,
    /// Name of the artifact in the store (default: the recipe's)
    #[arg(short, long, value_name = "REF")]
    tag: Option<Reference>,
}

pub(crate) fn run(global: &GlobalArgs, arguments: &BuildArgs) -> Result<(), Failure> {
    let mut recipe = Recipe::read(&arguments.project)?;
    recipe.tag = arguments.tag.clone().or(recipe.tag);
    if let Content::Module(module) = &recipe.content {
        build(module)?;
    }
    let site = Site::untrusting(global, &RegistryArgs::default())?;
    pack::pack(global, &site, &recipe)
}
