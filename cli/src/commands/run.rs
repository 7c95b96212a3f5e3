//! `dunlin run`: a command module in a sandbox, with the terminal's standard streams.

use std::process::ExitCode;

use clap::Args;
use dunlin_node::{Opened, run};

use super::{Site, sandbox::SandboxArgs};
use crate::{
    args::{AdmitArgs, EngineArgs, GlobalArgs, RegistryArgs},
    report::Failure,
};

/// Arguments of `dunlin run`.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// A reference, an OCI layout folder, or a .wasm or .wat file
    #[arg(value_name = "REF|FILE")]
    target: String,
    /// Arguments of the guest
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
    arguments: Vec<String>,
    #[command(flatten)]
    sandbox: SandboxArgs,
    #[command(flatten)]
    engine: EngineArgs,
    #[command(flatten)]
    admit: AdmitArgs,
    #[command(flatten)]
    registry: RegistryArgs,
}

pub(crate) async fn run(global: &GlobalArgs, arguments: RunArgs) -> Result<ExitCode, Failure> {
    let site = Site::open(global, &arguments.admit.trust, &arguments.registry)?;
    let module = match site.target(&arguments.target, arguments.admit.allow_unsigned).await? {
        Opened::Module(module) => module,
        Opened::Model(model) => return Err(Failure::not_a_module(model.name(), "run")),
    };
    let sandbox = arguments
        .sandbox
        .resolve(&site, arguments.admit.allow_unsigned, module)
        .await?;
    let engines = site.engines(&arguments.engine)?;
    let status = run::run(&site.node, sandbox, engines, arguments.arguments).await?;
    Ok(ExitCode::from(status))
}
