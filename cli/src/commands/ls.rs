//! `dunlin ls`: what the store has.

use clap::Args;
use dunlin_node::listing::{Listed, list};

use super::Site;
use crate::{
    args::{GlobalArgs, RegistryArgs},
    output,
    report::Failure,
};

/// Arguments of `dunlin ls`.
#[derive(Debug, Args)]
pub(crate) struct LsArgs {}

pub(crate) fn run(global: &GlobalArgs, _arguments: &LsArgs) -> Result<(), Failure> {
    let site = Site::untrusting(global, &RegistryArgs::default())?;
    let listed = list(&site.node.store()?)?;
    output::result(global.output, &listed, |listed| text(listed))?;
    Ok(())
}

fn text(listed: &[Listed]) -> String {
    let heading = ["NAME", "KIND", "DIGEST", "SIZE", "SIGNATURES"]
        .map(str::to_owned)
        .to_vec();
    let rows = listed.iter().map(|entry| {
        vec![
            entry.name.clone(),
            entry.kind.clone(),
            entry.digest.chars().take("sha256:".len() + 12).collect(),
            output::size(entry.size_bytes),
            entry.signatures.to_string(),
        ]
    });
    output::table(&std::iter::once(heading).chain(rows).collect::<Vec<_>>())
}
