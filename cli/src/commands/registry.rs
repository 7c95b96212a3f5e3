//! `dunlin registry serve`: the store as a read-only registry, for peers and for every tool that pulls.

use std::{net::SocketAddr, time::Duration};

use clap::{Args, Subcommand};
use dunlin_node::share::{ShareOptions, ShareServer};

use super::{Site, sandbox::duration};
use crate::{
    args::{GlobalArgs, RegistryArgs, TrustArgs},
    output,
    report::Failure,
};

/// `dunlin registry`.
#[derive(Debug, Args)]
pub(crate) struct RegistryCommand {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Serve what the store has tagged, whole, and admitted by the trust policy, over plain HTTP and read-only
    Serve(ServeArgs),
}

/// Arguments of `dunlin registry serve`.
#[derive(Debug, Args)]
struct ServeArgs {
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:5000")]
    addr: SocketAddr,
    /// Requests answered at once; further ones get 429
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    max_concurrent: u32,
    /// Time that requests in flight get after SIGTERM
    #[arg(long, value_name = "TIME", default_value = "20s", value_parser = duration)]
    grace_period: Duration,
    #[command(flatten)]
    trust: TrustArgs,
}

pub(crate) async fn run(global: &GlobalArgs, command: RegistryCommand) -> Result<(), Failure> {
    let Verb::Serve(arguments) = command.verb;
    let site = Site::open(global, &arguments.trust, &RegistryArgs::default())?;
    let options = ShareOptions {
        address: arguments.addr,
        max_concurrent: arguments.max_concurrent,
        grace_period: arguments.grace_period,
    };
    let server = ShareServer::prepare(&site.node, options).await?;
    output::line(&format!("listening on http://{}", server.address()))?;
    server.run().await;
    Ok(())
}
