//! `dunlin sign`: a signature beside an artifact in the store, in the form that cosign v3 writes.

use std::{collections::BTreeMap, path::PathBuf};

use clap::Args;
use dunlin_models::{Reference, key::KeyPair, sign};
use serde::Serialize;

use super::{Site, sandbox::pair};
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
    /// The private key (PEM, PKCS#8)
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// An annotation that the signature covers
    #[arg(short, long = "annotation", value_name = "NAME=VALUE", value_parser = pair)]
    annotations: Vec<(String, String)>,
}

#[derive(Serialize)]
struct Report {
    reference: String,
    digest: String,
    signature: String,
    key_fingerprint: String,
}

pub(crate) fn run(global: &GlobalArgs, arguments: &SignArgs) -> Result<(), Failure> {
    let site = Site::untrusting(global, &RegistryArgs::default())?;
    let store = site.node.store()?;
    let descriptor = store.resolve(&arguments.reference)?;
    let pem = super::read_key(&arguments.key)?;
    let pair = KeyPair::from_pem(&pem)?;
    let annotations: BTreeMap<String, String> = arguments.annotations.iter().cloned().collect();
    let signature = sign::sign(&store, &descriptor, &pair, &annotations)?;
    let report = Report {
        reference: arguments.reference.to_string(),
        digest: descriptor.digest.to_string(),
        signature: signature.digest.to_string(),
        key_fingerprint: pair.public().fingerprint(),
    };
    output::result(global.output, &report, |report| {
        format!(
            "signed {}\n  digest     {}\n  signature  {}",
            report.reference, report.digest, report.signature
        )
    })?;
    Ok(())
}
