//! The `dunlin` command: parse, run, report.
//!
//! Every command is a module of `commands`; failures become one message and one exit code in `report`.

mod args;
mod commands;
mod output;
mod progress;
mod report;
mod setup;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    let arguments = args::Cli::parse();
    setup::logging(&arguments.global);
    setup::quiet_engine_panics();
    let runtime = match setup::executor() {
        Ok(runtime) => runtime,
        Err(error) => return report::failure(&error.into()),
    };
    let outcome = runtime.block_on(commands::run(arguments));
    // Blocking reads of standard input cannot be interrupted; they must not hold up the exit.
    runtime.shutdown_background();
    match outcome {
        Ok(code) => code,
        Err(failure) => report::failure(&failure),
    }
}
