//! What every command needs before it starts: logging and the async executor.

use std::io::{self, IsTerminal as _};

use tracing_subscriber::{EnvFilter, fmt};

use crate::args::GlobalArgs;

/// Variable with a filter in `tracing_subscriber`'s syntax; it wins over `-v`.
const LOG_VARIABLE: &str = "DUNLIN_LOG";
/// Names of the threads on which dunlin-host-gpu runs engines, by prefix.
const ENGINE_THREADS: [&str; 2] = ["dunlin-compute", "dunlin-load"];

/// Sends logs to standard error: warnings by default, more with `-v`.
pub(crate) fn logging(global: &GlobalArgs) {
    let default = match (global.quiet, global.verbose) {
        (true, _) => "error",
        (false, 0) => "warn,dunlin_node=info",
        (false, 1) => "info",
        (false, 2) => "info,dunlin_models=debug,dunlin_host_gpu=debug,dunlin_runtime=debug,dunlin_node=debug",
        (false, _) => "trace",
    };
    let filter = EnvFilter::try_from_env(LOG_VARIABLE).unwrap_or_else(|_| EnvFilter::new(default));
    fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .with_target(global.verbose > 0)
        .init();
}

/// Panics of the engines' own threads are caught there and become errors; the default hook would print them all the same,
/// and a guest could fill the operator's log with bad indices.
pub(crate) fn quiet_engine_panics() {
    let default = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let thread = std::thread::current();
        let name = thread.name().unwrap_or_default();
        if ENGINE_THREADS.iter().any(|prefix| name.starts_with(prefix)) {
            tracing::debug!(thread = name, %panic, "an engine panicked");
        } else {
            default(panic);
        }
    }));
}

/// The executor of this process.
pub(crate) fn executor() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("dunlin")
        .build()
}
