//! `dunlin serve`: an HTTP module behind a listener.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use clap::Args;
use dunlin_node::{Opened, ResidentModels, serve};

use super::{
    Site,
    sandbox::{SandboxArgs, duration},
};
use crate::{
    args::{AdmitArgs, EngineArgs, GlobalArgs, RegistryArgs},
    output,
    report::Failure,
};

/// Arguments of `dunlin serve`.
#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// A reference, an OCI layout folder, or a .wasm file
    #[arg(value_name = "REF|FILE")]
    target: String,
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8080")]
    addr: SocketAddr,
    /// Requests that one instance may answer, one after the other (default: what the artifact allows, else 1)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    instance_reuse: Option<u32>,
    /// Requests answered at once; further ones get 503
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    max_concurrent: u32,
    /// Time that requests in flight get after SIGTERM
    #[arg(long, value_name = "TIME", default_value = "20s", value_parser = duration)]
    grace_period: Duration,
    /// Load models at their first use instead of before listening
    #[arg(long)]
    lazy_models: bool,
    #[command(flatten)]
    sandbox: SandboxArgs,
    #[command(flatten)]
    engine: EngineArgs,
    #[command(flatten)]
    admit: AdmitArgs,
    #[command(flatten)]
    registry: RegistryArgs,
}

pub(crate) async fn run(global: &GlobalArgs, arguments: ServeArgs) -> Result<(), Failure> {
    let site = Site::open(global, &arguments.admit.trust, &arguments.registry)?;
    let module = match site.target(&arguments.target, arguments.admit.allow_unsigned).await? {
        Opened::Module(module) => module,
        Opened::Model(model) => return Err(Failure::not_a_module(model.name(), "serve")),
    };
    let sandbox = arguments
        .sandbox
        .resolve(&site, arguments.admit.allow_unsigned, module)
        .await?;
    let resident = Arc::new(ResidentModels::new(Arc::new(site.engines(&arguments.engine)?)));
    let options = serve::ServeOptions {
        address: arguments.addr,
        instance_reuse: arguments.instance_reuse,
        max_concurrent: arguments.max_concurrent,
        grace_period: arguments.grace_period,
        preload: !arguments.lazy_models,
    };
    let server = serve::Server::prepare(&site.node, sandbox, resident, options).await?;
    output::line(&format!("listening on http://{}", server.address()))?;
    server.run().await;
    Ok(())
}
