//! `dunlin pull`: an artifact from a registry; nothing of it is downloaded before its verdict.

use clap::{Args, ValueEnum};
use dunlin_models::{Reference, registry::Links};
use dunlin_node::Peer;
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
    /// Which of the models that a module links are pulled with it
    #[arg(long, value_enum, default_value_t = LinksArg::Required)]
    models: LinksArg,
    /// Fetch every blob whole, even where a delta against an older one in the store would do
    #[arg(long)]
    no_delta: bool,
    /// A node that serves its store (`dunlin registry serve`), asked before the registry; repeat for more
    #[arg(long, value_name = "URL")]
    peer: Vec<Peer>,
    #[command(flatten)]
    admit: AdmitArgs,
    #[command(flatten)]
    registry: RegistryArgs,
}

/// Which linked models are pulled.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum LinksArg {
    /// None.
    None,
    /// Those that the module cannot do without.
    Required,
    /// Also the optional ones.
    All,
}

#[derive(Serialize)]
struct Report {
    reference: String,
    digest: String,
    verdict: String,
    pulled_bytes: u64,
    saved_bytes: u64,
    reused_blobs: usize,
    signatures: usize,
    linked_models: Vec<String>,
    unresolved_models: Vec<String>,
}

pub(crate) async fn run(global: &GlobalArgs, arguments: &PullArgs) -> Result<(), Failure> {
    if arguments.reference.registry().is_none() {
        return Err(Failure::usage(format!(
            "`{}` names no registry: write HOST[:PORT]/repository:tag",
            arguments.reference
        )));
    }
    let mut site = Site::open(global, &arguments.admit.trust, &arguments.registry)?;
    let options = site.node.registry_options();
    options.no_delta = arguments.no_delta;
    options.peers.clone_from(&arguments.peer);
    let links = match arguments.models {
        LinksArg::None => Links::None,
        LinksArg::Required => Links::Required,
        LinksArg::All => Links::All,
    };
    let pulled = site
        .node
        .pull(&arguments.reference, arguments.admit.allow_unsigned, links)
        .await?;
    let report = Report {
        reference: arguments.reference.to_string(),
        digest: pulled.descriptor.digest.to_string(),
        verdict: pulled.descriptor.verdict().to_string(),
        pulled_bytes: pulled.bytes,
        saved_bytes: pulled.saved,
        reused_blobs: pulled.reused,
        signatures: pulled.signatures,
        linked_models: pulled.linked.iter().map(|model| model.digest.to_string()).collect(),
        unresolved_models: pulled.unresolved.clone(),
    };
    output::result(global.output, &report, |report| {
        let mut text = format!(
            "pulled {}\n  digest    {}\n  verdict   {}\n  received  {}",
            report.reference,
            report.digest,
            report.verdict,
            output::size(report.pulled_bytes)
        );
        if report.saved_bytes > 0 {
            text.push_str(&format!(
                "\n  saved     {} by deltas and older blobs",
                output::size(report.saved_bytes)
            ));
        }
        for digest in &report.linked_models {
            text.push_str(&format!("\n  model     {digest}"));
        }
        for name in &report.unresolved_models {
            text.push_str(&format!("\n  not found the model {name:?}: nothing says where it is"));
        }
        text
    })?;
    Ok(())
}
