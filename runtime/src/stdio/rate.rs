//! [`LineRate`]: how many lines a guest may log. A bucket that fills at the rate and holds a second's worth.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use crate::stats::Counters;

const BILLION: u64 = 1_000_000_000;

/// The bucket of one stream.
pub(crate) struct LineRate {
    per_second: Option<u32>,
    /// Billionths of lines, so that short pauses count.
    level: u64,
    filled: Option<Instant>,
    counters: Arc<Counters>,
}

impl LineRate {
    /// `None` for no bound.
    pub(crate) fn new(per_second: Option<u32>, counters: Arc<Counters>) -> Self {
        Self {
            per_second,
            level: per_second.map_or(0, |rate| u64::from(rate) * BILLION),
            filled: None,
            counters,
        }
    }

    /// Whether a line may go out at `now`; counts it when not.
    pub(super) fn admit(&mut self, now: Instant) -> bool {
        let Some(rate) = self.per_second.map(u64::from) else {
            return true;
        };
        let elapsed = now.saturating_duration_since(self.filled.replace(now).unwrap_or(now));
        let nanos = elapsed.min(Duration::from_secs(1)).as_nanos();
        let gained = u64::try_from(nanos).unwrap_or(BILLION) * rate;
        self.level = self.level.saturating_add(gained).min(rate * BILLION);
        match self.level.checked_sub(BILLION) {
            Some(level) => {
                self.level = level;
                true
            }
            None => {
                self.counters.log_lines_dropped.up();
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_the_rate() {
        let counters = Arc::new(Counters::default());
        let mut rate = LineRate::new(Some(10), Arc::clone(&counters));
        let start = Instant::now();
        assert_eq!((0..30).filter(|_| rate.admit(start)).count(), 10);
        assert_eq!(counters.snapshot().log_lines_dropped, 20);
        let later = start + Duration::from_millis(250);
        assert_eq!((0..30).filter(|_| rate.admit(later)).count(), 2);
        let much_later = start + Duration::from_secs(3600);
        assert_eq!((0..30).filter(|_| rate.admit(much_later)).count(), 10);
    }

    #[test]
    fn no_rate_is_no_bound_and_zero_is_silence() {
        let admit = |rate| LineRate::new(rate, Arc::default()).admit(Instant::now());
        assert!(admit(None));
        assert!(!admit(Some(0)));
    }
}
