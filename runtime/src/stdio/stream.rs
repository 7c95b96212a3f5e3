//! [`CappedOutput`]: the WASI side of an output that goes to a callback. Beyond its cap bytes are dropped and counted; the
//! guest never waits and never sees an error.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::{
    cli::{IsTerminal, StdoutStream},
    p2::{OutputStream, Pollable, StreamResult},
};

use super::{GuestStream, InstanceId, LineRate, LineSink, LineSplitter, OutputSink, Receiver};
use crate::stats::Counters;

/// What a guest may write at once; wasmtime's own streams allow as much.
const PERMIT_BYTES: usize = 64 << 10;

/// One output stream of one instance. Clones are the same stream.
#[derive(Clone)]
pub(crate) struct CappedOutput {
    shared: Arc<Mutex<Shared>>,
}

struct Shared {
    receiver: Receiver,
    left: u64,
    counters: Arc<Counters>,
}

impl CappedOutput {
    pub(crate) fn sink(sink: Arc<dyn OutputSink>, cap: u64, counters: Arc<Counters>) -> Self {
        Self::new(Receiver::Sink(sink), cap, counters)
    }

    pub(crate) fn lines(
        sink: Arc<dyn LineSink>,
        (instance, stream): (InstanceId, GuestStream),
        rate: LineRate,
        cap: u64,
        counters: Arc<Counters>,
    ) -> Self {
        let lines = LineSplitter::new(sink, instance, stream, rate);
        Self::new(Receiver::Lines(lines), cap, counters)
    }

    fn new(receiver: Receiver, cap: u64, counters: Arc<Counters>) -> Self {
        Self {
            shared: Arc::new(Mutex::new(Shared {
                receiver,
                left: cap,
                counters,
            })),
        }
    }

    fn take(&self, bytes: &[u8]) {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let allowed = usize::try_from(shared.left).unwrap_or(usize::MAX).min(bytes.len());
        let (kept, dropped) = bytes.split_at(allowed);
        shared.left -= kept.len() as u64;
        shared.counters.output_bytes_dropped.add(dropped.len() as u64);
        if !kept.is_empty() {
            shared.receiver.write(kept);
        }
    }
}

impl IsTerminal for CappedOutput {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for CappedOutput {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[async_trait::async_trait]
impl Pollable for CappedOutput {
    async fn ready(&mut self) {}
}

impl OutputStream for CappedOutput {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.take(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(PERMIT_BYTES)
    }
}

impl AsyncWrite for CappedOutput {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.take(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[derive(Default)]
    struct Collected(Mutex<Vec<u8>>);

    impl OutputSink for Collected {
        fn write(&self, bytes: &[u8]) {
            self.0.lock().unwrap().extend_from_slice(bytes);
        }
    }

    #[test]
    fn bytes_beyond_the_cap_are_dropped_and_counted() {
        let (sink, counters) = (Arc::new(Collected::default()), Arc::new(Counters::default()));
        let output = CappedOutput::sink(Arc::clone(&sink) as _, 5, Arc::clone(&counters));
        let (mut first, mut second) = (output.clone(), output);
        OutputStream::write(&mut first, Bytes::from_static(b"abc")).unwrap();
        OutputStream::write(&mut second, Bytes::from_static(b"defg")).unwrap();
        OutputStream::write(&mut first, Bytes::from_static(b"h")).unwrap();
        assert_eq!(*sink.0.lock().unwrap(), b"abcde");
        assert_eq!(counters.snapshot().output_bytes_dropped, 3);
    }
}
