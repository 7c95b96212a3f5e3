//! `dunlin verify`: whether this node would admit an artifact, and why.

use clap::Args;
use dunlin_models::{Reference, verify::Verdict};
use serde::Serialize;

use super::Site;
use crate::{
    args::{GlobalArgs, RegistryArgs, TrustArgs},
    output,
    report::Failure,
};

/// Arguments of `dunlin verify`.
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// The artifact in the store
    #[arg(value_name = "REF")]
    reference: Reference,
    #[command(flatten)]
    trust: TrustArgs,
}

#[derive(Serialize)]
struct Report {
    reference: String,
    digest: String,
    verdict: String,
    rule: Option<String>,
    keys: Vec<String>,
}

pub(crate) fn run(global: &GlobalArgs, arguments: &VerifyArgs) -> Result<(), Failure> {
    let site = Site::open(global, &arguments.trust, &RegistryArgs::default())?;
    let store = site.node.store()?;
    let descriptor = store.resolve(&arguments.reference)?;
    let verified = site.node.verifier().verify(&store, &arguments.reference, &descriptor)?;
    let (rule, keys) = match verified.verdict() {
        Verdict::Signed { rule, keys } => (Some(rule.clone()), keys.clone()),
        Verdict::AllowedUnsigned | Verdict::Audited { .. } => (None, Vec::new()),
    };
    let report = Report {
        reference: arguments.reference.to_string(),
        digest: descriptor.digest.to_string(),
        verdict: verified.verdict().to_string(),
        rule,
        keys,
    };
    output::result(global.output, &report, |report| {
        format!(
            "{} is admitted\n  digest   {}\n  verdict  {}",
            report.reference, report.digest, report.verdict
        )
    })?;
    Ok(())
}
