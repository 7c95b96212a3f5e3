//! `dunlin pull`: an artifact from a registry; nothing of it is downloaded before its verdict.

use clap::Args;
use dunlin_models::Reference;
use serde::Serialize;

use super::Site;
use crate::{
    args::{AdmitArgs, GlobalArgs, RegistryArgs},
    output,
    report::Failure,
};

/// Arguments of `dunlin pull`.
#[derive(Debug, Args)]
pub(crate) struct PullArgs {
    /// The artifact, with its registry
    #[arg(value_name = "REF")]
    reference: Reference,
    #[command(flatten)]
    admit: AdmitArgs,
    #[command(flatten)]
    registry: RegistryArgs,
}

#[derive(Serialize)]
struct Report {
    reference: String,
    digest: String,
    verdict: String,
    pulled_bytes: u64,
}

pub(crate) async fn run(global: &GlobalArgs, arguments: &PullArgs) -> Result<(), Failure> {
    if arguments.reference.registry().is_none() {
        return Err(Failure::usage(format!(
            "`{}` names no registry: write HOST[:PORT]/repository:tag",
            arguments.reference
        )));
    }
    let site = Site::open(global, &arguments.admit.trust, &arguments.registry)?;
    let pulled = site
        .node
        .pull(&arguments.reference, arguments.admit.allow_unsigned)
        .await?;
    let report = Report {
        reference: arguments.reference.to_string(),
        digest: pulled.descriptor.digest.to_string(),
        verdict: pulled.descriptor.verdict().to_string(),
        pulled_bytes: pulled.bytes,
    };
    output::result(global.output, &report, |report| {
        format!(
            "pulled {}\n  digest    {}\n  verdict   {}\n  received  {}",
            report.reference,
            report.digest,
            report.verdict,
            output::size(report.pulled_bytes)
        )
    })?;
    Ok(())
}
