//! Filling one partial blob: its gaps, cut into spans, are taken by as many workers as there are connections. The first
//! answer tells whether the server has ranges; without them one worker takes it all.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::{DownloadError, Downloads, died};
use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::registry::progress::Event;
use crate::registry::retry::{pause, random};
use crate::registry::route::Route;
use crate::registry::transport::TransportError;
use crate::store::{Partial, StoreError, Writer};

/// Bytes that an attempt must bring for the count of failures to begin anew.
const PROGRESS_BYTES: u64 = 256 << 10;
/// Smallest span, whatever the configuration says.
const MIN_SPAN_BYTES: u64 = 1 << 20;
/// Blobs from this size on are brought to disk while they come.
const SYNC_FROM_BYTES: u64 = 16 << 20;

/// Whether the server sends parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ranges {
    Unknown,
    Served,
    Ignored,
}

/// One blob being filled.
pub(super) struct Fill<'a> {
    pub(super) downloads: &'a Downloads<'a>,
    pub(super) route: &'a Route,
    pub(super) blob: &'a Descriptor,
    pub(super) writer: Writer,
    queue: Mutex<VecDeque<Range<u64>>>,
    ranges: watch::Sender<Ranges>,
    used_mirror: AtomicBool,
}

impl<'a> Fill<'a> {
    pub(super) fn new(downloads: &'a Downloads<'a>, route: &'a Route, blob: &'a Descriptor, partial: &Partial) -> Self {
        let transfer = route.transfer();
        // A blob of fewer spans than there are streams would leave some idle, which a long link makes one wait for.
        let share = blob
            .size
            .div_ceil(u64::try_from(transfer.streams.max(1)).unwrap_or(u64::MAX));
        let len = transfer.range_bytes.min(share).max(MIN_SPAN_BYTES);
        let mut queue = VecDeque::new();
        for gap in partial.missing() {
            let mut start = gap.start;
            while start < gap.end {
                let end = start.saturating_add(len).min(gap.end);
                queue.push_back(start..end);
                start = end;
            }
        }
        Self {
            downloads,
            route,
            blob,
            writer: partial.writer(),
            queue: Mutex::new(queue),
            ranges: watch::Sender::new(Ranges::Unknown),
            used_mirror: AtomicBool::new(false),
        }
    }

    /// Whether bytes came from elsewhere than the registry itself.
    pub(super) fn used_mirror(&self) -> bool {
        self.used_mirror.load(Ordering::Relaxed)
    }

    /// Fetches what is missing, and returns the digest of the whole.
    pub(super) async fn run(&self) -> Result<Digest, DownloadError> {
        let writer = self.writer.clone();
        let follower = tokio::task::spawn_blocking(move || writer.follow());
        let writer = self.writer.clone();
        let syncing = self.blob.size >= SYNC_FROM_BYTES;
        let syncer = syncing.then(|| tokio::task::spawn_blocking(move || writer.keep_synced()));
        let workers = self.route.transfer().streams.max(1).min(self.queue().len());
        futures::future::try_join_all((0..workers).map(|number| self.work(number))).await?;
        let found = follower.await.map_err(died)??;
        if let Some(syncer) = syncer {
            syncer.await.map_err(died)?;
        }
        let found = found.ok_or(StoreError::SizeMismatch {
            digest: self.blob.digest,
            expected: self.blob.size,
            found: 0,
        });
        Ok(found?)
    }

    async fn work(&self, number: usize) -> Result<(), DownloadError> {
        if number > 0 {
            let mut ranges = self.ranges.subscribe();
            let known = ranges.wait_for(|ranges| *ranges != Ranges::Unknown).await;
            if known.map_or(Ranges::Ignored, |known| *known) == Ranges::Ignored {
                return Ok(());
            }
        }
        loop {
            let next = self.queue().pop_front();
            let Some(span) = next else { return Ok(()) };
            self.persist(span).await?;
        }
    }

    /// Fetches `span`, by as many attempts as the retries and endpoints allow.
    async fn persist(&self, mut span: Range<u64>) -> Result<(), DownloadError> {
        let policy = self.route.retry();
        let (mut failures, mut asked, mut origins) = (0, 0, None);
        while !span.is_empty() {
            let Some((number, remote)) = self.route.station() else {
                return Ok(());
            };
            let is_origin = self.route.is_origin(number);
            self.used_mirror.fetch_or(!is_origin, Ordering::Relaxed);
            let before = span.start;
            let permit = self.downloads.streams.acquire().await;
            let outcome = self.attempt(remote, &mut span).await;
            drop(permit);
            let error = match outcome {
                Ok(()) => continue,
                Err(DownloadError::Transport(error)) => error,
                Err(error) => return Err(error),
            };
            if span.start.saturating_sub(before) >= PROGRESS_BYTES {
                (failures, asked) = (0, 0);
            }
            asked += 1;
            let stations = self.route.len();
            self.route.pass(number, &error);
            if asked < stations {
                self.report_endpoint(&error);
                origins = is_origin.then_some(error).or(origins);
                continue;
            }
            // All endpoints have failed. What the registry itself says counts most.
            let error = if is_origin {
                error
            } else {
                origins.take().unwrap_or(error)
            };
            if failures >= policy.retries || !error.is_transient() {
                return Err(error.into());
            }
            let pause = pause(policy, failures, error.retry_after(), random());
            self.downloads.progress.event(&Event::Retry {
                blob: self.blob,
                reason: &error.to_string(),
                pause_ms: u64::try_from(pause.as_millis()).unwrap_or(u64::MAX),
            });
            tokio::time::sleep(pause).await;
            self.route.forgive();
            (failures, asked) = (failures + 1, 0);
        }
        Ok(())
    }

    fn report_endpoint(&self, error: &TransportError) {
        if let Some((_, remote)) = self.route.station() {
            self.downloads.progress.event(&Event::Endpoint {
                blob: self.blob,
                endpoint: &remote.endpoint.name,
                reason: &error.to_string(),
            });
        }
    }

    /// Notes what an answer showed. Once parts were served, a server that stops serving them changes nothing for others.
    pub(super) fn learn(&self, ranges: Ranges) {
        self.ranges.send_if_modified(|known| {
            let is_news = *known == Ranges::Unknown;
            if is_news {
                *known = ranges;
            }
            is_news
        });
    }

    /// Takes all spans that nobody has begun.
    pub(super) fn take_queue(&self) -> Vec<Range<u64>> {
        self.queue().drain(..).collect()
    }

    /// Gives back what of `spans` lies behind `at`.
    pub(super) fn give_back(&self, spans: Vec<Range<u64>>, at: u64) {
        let rest = spans.into_iter().map(|span| span.start.max(at)..span.end);
        self.queue().extend(rest.filter(|span| !span.is_empty()));
    }

    fn queue(&self) -> MutexGuard<'_, VecDeque<Range<u64>>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
