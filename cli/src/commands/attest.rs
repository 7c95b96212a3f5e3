//! `dunlin attest`: a signed statement about an artifact in the store: where it comes from, what is in it.

use std::path::PathBuf;

use clap::Args;
use dunlin_models::{Reference, sign};
use serde_json::Value;

use super::{
    Site,
    sign::Report,
    signer::{SignerArgs, read},
};
use crate::{
    args::{GlobalArgs, RegistryArgs},
    output,
    report::Failure,
};

/// The short names that cosign has for predicate types.
const SHORT_NAMES: [(&str, &str); 7] = [
    ("slsaprovenance", "https://slsa.dev/provenance/v0.2"),
    ("slsaprovenance02", "https://slsa.dev/provenance/v0.2"),
    ("slsaprovenance1", "https://slsa.dev/provenance/v1"),
    ("cyclonedx", "https://cyclonedx.org/bom"),
    ("spdx", "https://spdx.dev/Document"),
    ("spdxjson", "https://spdx.dev/Document"),
    ("vuln", "https://cosign.sigstore.dev/attestation/vuln/v1"),
];

/// Arguments of `dunlin attest`.
#[derive(Debug, Args)]
pub(crate) struct AttestArgs {
    /// The artifact in the store
    #[arg(value_name = "REF")]
    reference: Reference,
    /// What is attested: a JSON file, `-` for standard input
    #[arg(long, value_name = "FILE")]
    predicate: PathBuf,
    /// Its type: slsaprovenance1, cyclonedx, spdxjson, vuln, or a URI
    #[arg(long = "type", value_name = "TYPE", value_parser = predicate_type)]
    kind: String,
    #[command(flatten)]
    signer: SignerArgs,
}

/// The URI of a predicate type, by itself or by its short name.
pub(crate) fn predicate_type(text: &str) -> Result<String, String> {
    if let Some((_, uri)) = SHORT_NAMES.iter().find(|(name, _)| *name == text) {
        return Ok((*uri).to_owned());
    }
    if text.contains("://") {
        return Ok(text.to_owned());
    }
    let names: Vec<&str> = SHORT_NAMES.iter().map(|(name, _)| *name).collect();
    Err(format!("write a URI, or one of {}", names.join(", ")))
}

pub(crate) async fn run(global: &GlobalArgs, arguments: &AttestArgs) -> Result<(), Failure> {
    let site = Site::untrusting(global, &RegistryArgs::default())?;
    let store = site.node.store()?;
    let descriptor = store.resolve(&arguments.reference)?;
    let predicate: Value = serde_json::from_slice(&read(&arguments.predicate)?)
        .map_err(|error| Failure::usage(format!("{} is no JSON: {error}", arguments.predicate.display())))?;
    let material = arguments.signer.material(&site)?;
    let attested = sign::attest(&store, &descriptor, &arguments.kind, predicate, &material.signer()).await?;
    let report = Report {
        reference: arguments.reference.to_string(),
        digest: descriptor.digest.to_string(),
        signature: attested.digest.to_string(),
        key_fingerprint: material.fingerprint(),
    };
    output::result(global.output, &report, |report| {
        format!(
            "attested {}\n  digest       {}\n  type         {}\n  attestation  {}",
            report.reference, report.digest, arguments.kind, report.signature
        )
    })?;
    Ok(())
}
