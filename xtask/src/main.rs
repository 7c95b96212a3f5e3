//! Project automation: `cargo xtask assets|venv|fixtures|guests|tools|demo`.
//!
//! One module per subcommand; each returns its own error, and only this file prints one.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line tool talks to its user"
)]
#![allow(
    clippy::disallowed_methods,
    reason = "a tool of the repository is configured by its environment"
)]

mod assets;
mod cache;
mod checksum;
mod demo;
mod failure;
mod fixtures;
mod guests;
mod output;
mod tools;
mod venv;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::{cache::Cache, failure::Failure};

#[derive(Debug, Parser)]
#[command(
    name = "xtask",
    bin_name = "cargo xtask",
    about = "Fetches, builds and generates what the repository does not hold"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Fetch pinned models and tools into the cache
    Assets(assets::Args),
    /// Make the Python environment that the fixtures are generated in
    Venv,
    /// Generate models, inputs and expected outputs for tests
    Fixtures(fixtures::Args),
    /// Run a real model from a signed bundle, in a sandbox, over HTTP
    Demo,
    /// Build the WebAssembly guests of examples/ and tests/
    Guests(guests::Args),
    /// Build the real clients, registries and servers that the tests run against
    Tools(tools::Args),
}

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output::failure(&failure);
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> Result<(), Failure> {
    let cache = Cache::locate()?;
    match cli.command {
        Command::Assets(args) => assets::run(&cache, &args)?,
        Command::Venv => println!("{}", venv::ensure(&cache)?.display()),
        Command::Fixtures(args) => fixtures::run(&cache, &args)?,
        Command::Guests(args) => guests::run(&cache, &args)?,
        Command::Tools(args) => tools::run(&cache, &args)?,
        Command::Demo => demo::run(&cache).map_err(Failure::Demo)?,
    }
    Ok(())
}
