//! SIGTERM and SIGINT as two futures: the first signal asks for a stop, the second one for an end at once.

use std::{future::Future, io, pin::Pin};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::oneshot,
    task::JoinSet,
};

/// Signals that are caught from now on.
#[derive(Debug)]
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Catches both signals.
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Futures for the first signal and the second one.
    pub(crate) fn into_futures(mut self) -> (impl Future<Output = ()>, impl Future<Output = ()>) {
        let (first, first_seen) = oneshot::channel();
        let (second, second_seen) = oneshot::channel();
        let mut owner = JoinSet::new();
        owner.spawn(async move {
            self.next().await;
            let _ = first.send(());
            self.next().await;
            let _ = second.send(());
        });
        let abort: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(async move {
            let _owner = owner;
            drop(second_seen.await);
        });
        (async move { drop(first_seen.await) }, abort)
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
