//! [`bounded`]: runs a guest's future under its time limits. Wall time is measured by a timer, processor time by what the
//! thread spent inside the guest's polls; the epoch makes a spinning guest yield often enough for both to be seen.

use std::{
    fmt,
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
    time::Duration,
};

use rustix::time::{ClockId, clock_gettime};
use tokio::time::{Instant, sleep_until};

/// Which time limit a guest reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeadlineKind {
    /// Time from start to end.
    Wall,
    /// Processor time of the guest.
    Cpu,
}

impl fmt::Display for DeadlineKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Wall => "time",
            Self::Cpu => "processor time",
        })
    }
}

/// A limit that was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exceeded {
    pub(crate) kind: DeadlineKind,
    pub(crate) limit: Duration,
}

/// Time limits of one call.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TimeLimits {
    pub(crate) wall: Option<Duration>,
    pub(crate) cpu: Option<Duration>,
}

impl TimeLimits {
    /// When the wall time is over, for a call that starts now. `None` also for a time beyond the clock's range.
    pub(crate) fn deadline(&self) -> Option<std::time::Instant> {
        self.wall.and_then(|wall| std::time::Instant::now().checked_add(wall))
    }
}

/// Drives `future` to its end or to a limit, whichever comes first; a result that is there when a limit is reached wins.
///
/// # Cancel safety
/// Nothing is kept beyond the future itself.
pub(crate) async fn bounded<F: Future>(future: F, limits: TimeLimits) -> Result<F::Output, Exceeded> {
    let mut future = pin!(future);
    // A limit beyond the clock's range is none.
    let end = limits.wall.and_then(|wall| Instant::now().checked_add(wall));
    let mut sleep = pin!(end.map(sleep_until));
    let mut spent = Duration::ZERO;
    poll_fn(|cx| {
        let before = thread_cpu_time();
        let polled = future.as_mut().poll(cx);
        spent += thread_cpu_time().saturating_sub(before);
        if let Poll::Ready(output) = polled {
            return Poll::Ready(Ok(output));
        }
        if let Some(limit) = limits.cpu.filter(|&limit| spent > limit) {
            return Poll::Ready(Err(Exceeded {
                kind: DeadlineKind::Cpu,
                limit,
            }));
        }
        match (limits.wall, sleep.as_mut().as_pin_mut()) {
            (Some(limit), Some(sleep)) => sleep.poll(cx).map(|()| {
                Err(Exceeded {
                    kind: DeadlineKind::Wall,
                    limit,
                })
            }),
            _ => Poll::Pending,
        }
    })
    .await
}

/// Processor time of the calling thread.
fn thread_cpu_time() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    let nanos = u32::try_from(now.tv_nsec).unwrap_or(0);
    Duration::new(seconds, nanos)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::future::{pending, ready};

    use super::*;

    fn limits(wall: Option<u64>, cpu: Option<u64>) -> TimeLimits {
        TimeLimits {
            wall: wall.map(Duration::from_millis),
            cpu: cpu.map(Duration::from_millis),
        }
    }

    #[tokio::test]
    async fn a_waiting_future_reaches_its_wall_limit_only() {
        let exceeded = bounded(pending::<()>(), limits(Some(20), Some(60_000)))
            .await
            .unwrap_err();
        assert_eq!(
            exceeded,
            Exceeded {
                kind: DeadlineKind::Wall,
                limit: Duration::from_millis(20)
            }
        );
    }

    #[tokio::test]
    async fn a_spinning_future_reaches_its_processor_limit() {
        let spin = poll_fn::<(), _>(|cx| {
            let start = thread_cpu_time();
            while thread_cpu_time() - start < Duration::from_millis(1) {}
            cx.waker().wake_by_ref();
            Poll::Pending
        });
        let exceeded = bounded(spin, limits(None, Some(5))).await.unwrap_err();
        assert_eq!(exceeded.kind, DeadlineKind::Cpu);
    }

    #[tokio::test]
    async fn a_ready_result_wins_over_a_limit() {
        assert_eq!(bounded(ready(7), limits(Some(0), Some(0))).await, Ok(7));
        assert_eq!(bounded(ready(7), limits(Some(u64::MAX), None)).await, Ok(7));
    }
}
