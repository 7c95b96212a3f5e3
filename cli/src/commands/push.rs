//! `dunlin push`: an artifact with its signatures to a registry.

use clap::Args;
use dunlin_models::Reference;
use serde::Serialize;

use super::Site;
use crate::{
    args::{GlobalArgs, RegistryArgs},
    output,
    report::Failure,
};

/// Arguments of `dunlin push`.
#[derive(Debug, Args)]
pub(crate) struct PushArgs {
    /// The artifact in the store
    #[arg(value_name = "REF")]
    local: Reference,
    /// Where to push it (default: REF itself, which then names a registry)
    #[arg(value_name = "REMOTE")]
    remote: Option<Reference>,
    #[command(flatten)]
    registry: RegistryArgs,
}

#[derive(Serialize)]
struct Report {
    reference: String,
    digest: String,
    pushed_bytes: u64,
}

pub(crate) async fn run(global: &GlobalArgs, arguments: &PushArgs) -> Result<(), Failure> {
    let remote = arguments.remote.as_ref().unwrap_or(&arguments.local);
    if remote.registry().is_none() {
        return Err(Failure::usage(format!(
            "`{remote}` names no registry: write HOST[:PORT]/repository:tag"
        )));
    }
    let site = Site::untrusting(global, &arguments.registry)?;
    let pushed = site.node.push(&arguments.local, remote).await?;
    let report = Report {
        reference: remote.to_string(),
        digest: pushed.descriptor.digest.to_string(),
        pushed_bytes: pushed.bytes,
    };
    output::result(global.output, &report, |report| {
        format!(
            "pushed {}\n  digest  {}\n  sent    {}",
            report.reference,
            report.digest,
            output::size(report.pushed_bytes)
        )
    })?;
    Ok(())
}
