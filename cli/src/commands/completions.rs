//! `dunlin completions`: a completion script for a shell.

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use crate::{args::Cli, output, report::Failure};

/// Arguments of `dunlin completions`.
#[derive(Debug, Args)]
pub(crate) struct CompletionArgs {
    /// The shell to write for
    shell: Shell,
}

pub(crate) fn run(arguments: &CompletionArgs) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Cli::command(), "dunlin", &mut script);
    Ok(output::line(&String::from_utf8_lossy(&script))?)
}
