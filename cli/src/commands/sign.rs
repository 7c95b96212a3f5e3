//! `dunlin sign`: a signature beside an artifact in the store, in the form that cosign v3 writes.

use std::collections::BTreeMap;

use clap::Args;
use dunlin_models::{Reference, sign};
use serde::Serialize;

use super::{Site, sandbox::pair, signer::SignerArgs};
use crate::{
    args::{GlobalArgs, RegistryArgs},
    output,
    report::Failure,
};

/// Arguments of `dunlin sign`.
#[derive(Debug, Args)]
pub(crate) struct SignArgs {
    /// The artifact in the store
    #[arg(value_name = "REF")]
    reference: Reference,
    /// An annotation that the signature covers
    #[arg(short, long = "annotation", value_name = "NAME=VALUE", value_parser = pair)]
    annotations: Vec<(String, String)>,
    #[command(flatten)]
    signer: SignerArgs,
}

#[derive(Serialize)]
pub(super) struct Report {
    pub(super) reference: String,
    pub(super) digest: String,
    pub(super) signature: String,
    pub(super) key_fingerprint: Option<String>,
}

pub(crate) async fn run(global: &GlobalArgs, arguments: &SignArgs) -> Result<(), Failure> {
    let site = Site::untrusting(global, &RegistryArgs::default())?;
    let store = site.node.store()?;
    let descriptor = store.resolve(&arguments.reference)?;
    let material = arguments.signer.material(&site)?;
    let annotations: BTreeMap<String, String> = arguments.annotations.iter().cloned().collect();
    let signature = sign::sign_as(&store, &descriptor, &material.signer(), &annotations).await?;
    let report = Report {
        reference: arguments.reference.to_string(),
        digest: descriptor.digest.to_string(),
        signature: signature.digest.to_string(),
        key_fingerprint: material.fingerprint(),
    };
    output::result(global.output, &report, |report| {
        format!(
            "signed {}\n  digest     {}\n  signature  {}",
            report.reference, report.digest, report.signature
        )
    })?;
    Ok(())
}
