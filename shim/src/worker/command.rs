//! Runs a command guest to its end, or to a signal.

use std::{
    io::{self, Write as _},
    sync::Arc,
};

use dunlin_host_gpu::{Scheduler, SchedulerError};
use dunlin_runtime::{CommandApp, Grants, Limits, RunError};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::error::chain;

/// As a process that aborts: 128 + SIGABRT.
const TRAPPED: i32 = 134;
/// As a process that is killed for want of memory.
const OUT_OF_MEMORY: i32 = 137;
/// The guest did not get to run.
const NOT_RUN: i32 = 126;
const SIGNAL_BASE: i32 = 128;

/// Signals that end a process unless it says otherwise. The first process of a namespace ignores those that it does not
/// catch, so they are caught.
const ENDING: [SignalKind; 6] = [
    SignalKind::terminate(),
    SignalKind::interrupt(),
    SignalKind::quit(),
    SignalKind::hangup(),
    SignalKind::user_defined1(),
    SignalKind::user_defined2(),
];

/// Caught signals.
pub(super) struct Signals(Vec<(SignalKind, Signal)>);

impl Signals {
    /// Catches them from now on.
    pub(super) fn catch() -> io::Result<Self> {
        ENDING
            .into_iter()
            .map(|kind| Ok((kind, signal(kind)?)))
            .collect::<io::Result<_>>()
            .map(Self)
    }

    /// The exit code of a process that the next signal ends.
    pub(super) async fn next(&mut self) -> i32 {
        std::future::poll_fn(|context| {
            for (kind, signal) in &mut self.0 {
                if signal.poll_recv(context).is_ready() {
                    return std::task::Poll::Ready(SIGNAL_BASE + kind.as_raw_value());
                }
            }
            std::task::Poll::Pending
        })
        .await
    }
}

/// The guest's exit code, or what stands for how it ended.
pub(super) async fn run(
    app: &CommandApp,
    grants: Grants,
    limits: Limits,
    scheduler: impl FnOnce() -> Result<Arc<Scheduler>, SchedulerError>,
) -> i32 {
    let (mut signals, scheduler) = match (Signals::catch(), scheduler()) {
        (Ok(signals), Ok(scheduler)) => (signals, scheduler),
        (signals, scheduler) => {
            if let Err(error) = signals {
                complain(&error);
            }
            if let Err(error) = scheduler {
                complain(&error);
            }
            return NOT_RUN;
        }
    };
    let outcome = tokio::select! {
        biased;
        code = signals.next() => return code,
        outcome = app.run(grants, limits, &scheduler) => outcome,
    };
    match outcome {
        // What a parent of a Linux process would see.
        Ok(status) => status.code() & 0xff,
        Err(error) => {
            complain(&error);
            match error {
                RunError::InitialMemory { .. } => OUT_OF_MEMORY,
                _ => TRAPPED,
            }
        }
    }
}

/// On the container's own standard error, where the user looks.
pub(super) fn complain(error: &dyn std::error::Error) {
    // Without a standard error nobody is told.
    let _ = writeln!(io::stderr(), "{}", chain(error));
}
