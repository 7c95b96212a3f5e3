//! One module per command; [`Site`] is what most of them start from.

pub(crate) mod attest;
pub(crate) mod build;
pub(crate) mod completions;
pub(crate) mod copy;
mod description;
pub(crate) mod doctor;
pub(crate) mod export;
pub(crate) mod fsck;
pub(crate) mod gc;
pub(crate) mod import;
pub(crate) mod infer;
pub(crate) mod inspect;
pub(crate) mod keys;
pub(crate) mod ls;
pub(crate) mod pack;
pub(crate) mod pin;
pub(crate) mod pull;
pub(crate) mod push;
pub(crate) mod registry;
pub(crate) mod rm;
pub(crate) mod run;
mod sandbox;
pub(crate) mod serve;
pub(crate) mod sign;
mod signer;
mod site;
pub(crate) mod tag;
pub(crate) mod verify;

use std::process::ExitCode;

pub(crate) use site::Site;

use crate::{
    args::{Cli, Command},
    report::Failure,
};

/// Runs the command that was typed.
pub(crate) async fn run(cli: Cli) -> Result<ExitCode, Failure> {
    let global = &cli.global;
    match cli.command {
        Command::Build(arguments) => build::run(global, &arguments)?,
        Command::Pack(arguments) => pack::run(global, &arguments)?,
        Command::GenerateKeyPair(arguments) => keys::run(global, &arguments)?,
        Command::Sign(arguments) => sign::run(global, &arguments).await?,
        Command::Attest(arguments) => attest::run(global, &arguments).await?,
        Command::Verify(arguments) => verify::run(global, &arguments).await?,
        Command::Inspect(arguments) => inspect::run(global, &arguments)?,
        Command::Ls(arguments) => ls::run(global, &arguments)?,
        Command::Tag(arguments) => tag::run(global, &arguments)?,
        Command::Rm(arguments) => rm::run(global, &arguments)?,
        Command::Pin(arguments) => pin::run(global, &arguments)?,
        Command::Gc(arguments) => gc::run(global, &arguments)?,
        Command::Fsck(arguments) => fsck::run(global, &arguments)?,
        Command::Export(arguments) => export::run(global, &arguments)?,
        Command::Import(arguments) => import::run(global, &arguments)?,
        Command::Push(arguments) => push::run(global, &arguments).await?,
        Command::Copy(arguments) => copy::run(global, &arguments).await?,
        Command::Pull(arguments) => pull::run(global, &arguments).await?,
        Command::Registry(arguments) => registry::run(global, arguments).await?,
        Command::Run(arguments) => return run::run(global, arguments).await,
        Command::Serve(arguments) => serve::run(global, arguments).await?,
        Command::Infer(arguments) => infer::run(global, &arguments).await?,
        Command::Doctor(arguments) => return doctor::run(global, &arguments),
        Command::Completions(arguments) => completions::run(&arguments)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// A key file larger than this is none.
const MAX_KEY_FILE: u64 = 64 << 10;

/// Reads a key in PEM.
pub(crate) fn read_key(path: &std::path::Path) -> Result<String, Failure> {
    let size = fs_err::metadata(path)?.len();
    if size > MAX_KEY_FILE {
        return Err(Failure::usage(format!(
            "{} has {size} bytes: that is no key",
            path.display()
        )));
    }
    Ok(fs_err::read_to_string(path)?)
}
