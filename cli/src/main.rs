//! The `dunlin` command: parse, run, report.
//!
//! Every command is a module of `commands`; failures become one message and one exit code in `report`. Called by another name,
//! the binary is containerd's image verifier.

mod args;
mod commands;
mod image_verifier;
mod output;
mod progress;
mod report;
mod setup;

use std::{path::PathBuf, process::ExitCode};

use clap::Parser as _;

fn main() -> ExitCode {
    let mut words = std::env::args_os();
    let program = words.next().map(PathBuf::from).unwrap_or_default();
    if program.file_name().is_some_and(|name| name == image_verifier::NAME) {
        return image_verifier::main(words);
    }
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
