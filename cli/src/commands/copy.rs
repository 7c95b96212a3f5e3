//! `dunlin copy`: an artifact from one registry to another, with its signatures, without going through the store.

use clap::Args;
use dunlin_models::Reference;
use serde::Serialize;

use super::Site;
use crate::{
    args::{GlobalArgs, RegistryArgs},
    output,
    report::Failure,
};

/// Arguments of `dunlin copy`.
#[derive(Debug, Args)]
pub(crate) struct CopyArgs {
    /// The artifact, with its registry
    #[arg(value_name = "FROM")]
    from: Reference,
    /// Where to, with its registry
    #[arg(value_name = "TO")]
    to: Reference,
    /// Leave signatures and everything else that refers to the artifact behind
    #[arg(long)]
    no_referrers: bool,
    #[command(flatten)]
    registry: RegistryArgs,
}

#[derive(Serialize)]
struct Report {
    reference: String,
    digest: String,
    sent_blobs: usize,
    sent_bytes: u64,
    mounted_blobs: usize,
    reused_blobs: usize,
    referrers: usize,
}

pub(crate) async fn run(global: &GlobalArgs, arguments: &CopyArgs) -> Result<(), Failure> {
    let site = Site::untrusting(global, &arguments.registry)?;
    let copied = site
        .node
        .copy(&arguments.from, &arguments.to, !arguments.no_referrers)
        .await?;
    let report = Report {
        reference: arguments.to.to_string(),
        digest: copied.descriptor.digest.to_string(),
        sent_blobs: copied.sent,
        sent_bytes: copied.bytes,
        mounted_blobs: copied.mounted,
        reused_blobs: copied.reused,
        referrers: copied.referrers,
    };
    output::result(global.output, &report, |report| {
        format!(
            "copied {}\n  digest     {}\n  sent       {} in {} blobs\n  mounted    {} blobs\n  signatures and other referrers  {}",
            report.reference,
            report.digest,
            output::size(report.sent_bytes),
            report.sent_blobs,
            report.mounted_blobs,
            report.referrers
        )
    })?;
    Ok(())
}
