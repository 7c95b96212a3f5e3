//! The shim's process: containerd says on the command line which of its lives this is.

use std::{error::Error, io::Write as _, process::ExitCode};

use dunlin_shim::{Action, Args};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let mut text = error.to_string();
            let mut source = error.source();
            while let Some(cause) = source {
                text.push_str(": ");
                text.push_str(&cause.to_string());
                source = cause.source();
            }
            // containerd shows what a shim that fails has written here.
            let _ = writeln!(std::io::stderr(), "containerd-shim-dunlin-v1: {text}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let (action, args) = Args::parse(std::env::args().skip(1))?;
    match action {
        Action::Worker => dunlin_shim::work(),
        Action::Start => {
            #[allow(
                clippy::disallowed_methods,
                reason = "containerd before 2.3 says in a variable where its events go"
            )]
            let ttrpc_address = std::env::var("TTRPC_ADDRESS").ok();
            dunlin_shim::start(&args, ttrpc_address, std::io::stdin().lock())?;
        }
        Action::Serve => dunlin_shim::serve(&args)?,
        Action::Delete => dunlin_shim::delete(&args)?,
        Action::Info => dunlin_shim::print_info()?,
        Action::Version => writeln!(
            std::io::stdout(),
            "containerd-shim-dunlin-v1 {}",
            env!("CARGO_PKG_VERSION")
        )?,
    }
    Ok(())
}
