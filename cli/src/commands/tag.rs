//! `dunlin tag`: another name for an artifact in the store.

use clap::Args;
use dunlin_models::Reference;
use serde::Serialize;

use super::Site;
use crate::{
    args::{GlobalArgs, RegistryArgs},
    output,
    report::Failure,
};

/// Arguments of `dunlin tag`.
#[derive(Debug, Args)]
pub(crate) struct TagArgs {
    /// The artifact in the store, by name or digest
    #[arg(value_name = "REF")]
    source: Reference,
    /// The new name; one that is in use is moved
    #[arg(value_name = "NAME")]
    target: Reference,
}

#[derive(Serialize)]
struct Report {
    reference: String,
    digest: String,
}

pub(crate) fn run(global: &GlobalArgs, arguments: &TagArgs) -> Result<(), Failure> {
    let site = Site::untrusting(global, &RegistryArgs::default())?;
    let store = site.node.store()?;
    let descriptor = store.resolve(&arguments.source)?;
    store.tag(&arguments.target, &descriptor)?;
    let report = Report {
        reference: arguments.target.to_string(),
        digest: descriptor.digest.to_string(),
    };
    output::result(global.output, &report, |report| {
        format!("tagged {}\n  digest  {}", report.reference, report.digest)
    })?;
    Ok(())
}
