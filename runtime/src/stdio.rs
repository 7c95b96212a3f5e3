//! Standard streams of a guest: [`Stdin`] and [`Stdout`], and the callbacks behind them, [`OutputSink`] and [`LineSink`].
//! Callbacks run on the guest's turn: they must be quick and must not block.

mod lines;
mod rate;
mod stream;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use lines::LineSplitter;
pub(crate) use rate::LineRate;
pub(crate) use stream::CappedOutput;

/// Number of one instance, unique in the process and never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InstanceId(u64);

impl InstanceId {
    pub(crate) fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }

    /// The number itself, from 1.
    #[must_use]
    pub fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Where standard input comes from.
#[derive(Clone, Debug, Default)]
pub enum Stdin {
    /// Nowhere: at its end at once.
    #[default]
    Empty,
    /// The process's own.
    Inherit,
    /// These bytes, then the end.
    Bytes(Bytes),
}

/// Where standard output or error goes.
#[derive(Clone, Default)]
pub enum Stdout {
    /// Nowhere.
    #[default]
    Discard,
    /// The process's own; not counted against `output_bytes`.
    Inherit,
    /// To a callback, as written.
    Sink(Arc<dyn OutputSink>),
    /// To a callback, line by line.
    Lines(Arc<dyn LineSink>),
}

/// Takes a guest's output as it is written. Untrusted bytes.
pub trait OutputSink: Send + Sync {
    /// Takes the next bytes, in order.
    fn write(&self, bytes: &[u8]);
}

/// Takes a guest's output line by line.
pub trait LineSink: Send + Sync {
    /// Takes the next line.
    fn line(&self, line: &GuestLine<'_>);
}

/// Which stream a line came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GuestStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// One line of output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuestLine<'a> {
    /// Who wrote it.
    pub instance: InstanceId,
    /// Where it was written to.
    pub stream: GuestStream,
    /// The text without its line end, at most 8 KiB (longer lines are split). Bytes that are not UTF-8 are replaced, and
    /// control characters escaped: the text is untrusted and may go to a terminal.
    pub text: &'a str,
}

impl fmt::Debug for Stdout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Discard => "Discard",
            Self::Inherit => "Inherit",
            Self::Sink(_) => "Sink",
            Self::Lines(_) => "Lines",
        })
    }
}

/// What the capped stream writes to.
enum Receiver {
    Sink(Arc<dyn OutputSink>),
    Lines(LineSplitter),
}

impl Receiver {
    fn write(&mut self, bytes: &[u8]) {
        match self {
            Self::Sink(sink) => sink.write(bytes),
            Self::Lines(lines) => lines.write(bytes),
        }
    }
}
