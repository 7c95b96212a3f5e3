//! `dunlin rm`: takes names away. What nothing names any more goes with the next `dunlin gc`.

use clap::Args;
use dunlin_models::Reference;
use serde::Serialize;

use super::Site;
use crate::{
    args::{GlobalArgs, RegistryArgs},
    output,
    report::Failure,
};

/// Arguments of `dunlin rm`.
#[derive(Debug, Args)]
pub(crate) struct RmArgs {
    /// Names in the store
    #[arg(value_name = "REF", required = true)]
    references: Vec<Reference>,
}

#[derive(Serialize)]
struct Report {
    removed: Vec<String>,
}

pub(crate) fn run(global: &GlobalArgs, arguments: &RmArgs) -> Result<(), Failure> {
    let site = Site::untrusting(global, &RegistryArgs::default())?;
    let store = site.node.store()?;
    // All are looked up before the first is removed: a typing error must not leave half of the work done.
    for reference in &arguments.references {
        store.resolve(reference)?;
    }
    let mut removed = Vec::new();
    for reference in &arguments.references {
        store.untag(reference)?;
        removed.push(reference.to_string());
    }
    output::result(global.output, &Report { removed }, |report| {
        format!(
            "removed {}\n`dunlin gc` frees what nothing names any more",
            report.removed.join(", ")
        )
    })?;
    Ok(())
}
