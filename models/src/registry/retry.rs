//! Trying again: a bounded number of times, with pauses that grow, scatter, and heed `Retry-After`.

use std::future::Future;
use std::time::{Duration, SystemTime};

use super::config::RetryPolicy;
use super::transport::TransportError;

/// An error that knows whether it may pass.
pub(super) trait Transient {
    fn transport(&self) -> Option<&TransportError>;
}

impl Transient for TransportError {
    fn transport(&self) -> Option<&TransportError> {
        Some(self)
    }
}

/// Runs `attempt` until it succeeds, fails for good, or the retries are used up.
pub(super) async fn retrying<T, E, F>(policy: RetryPolicy, mut attempt: impl FnMut() -> F) -> Result<T, E>
where
    E: Transient + std::fmt::Display,
    F: Future<Output = Result<T, E>>,
{
    let mut failures = 0;
    loop {
        let error = match attempt().await {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        let Some(transport) = error.transport().filter(|transport| transport.is_transient()) else {
            return Err(error);
        };
        if failures >= policy.retries {
            return Err(error);
        }
        let pause = pause(policy, failures, transport.retry_after(), random());
        tracing::debug!(%error, ?pause, "trying again");
        tokio::time::sleep(pause).await;
        failures += 1;
    }
}

/// `base * 2^failures`, less up to half of it, at least what the registry asks for, at most the cap. `random` is 0 to 255.
pub(super) fn pause(policy: RetryPolicy, failures: u32, asked: Option<Duration>, random: u8) -> Duration {
    let full = policy
        .base
        .saturating_mul(1_u32.checked_shl(failures).unwrap_or(u32::MAX))
        .min(policy.cap);
    let scattered = full.saturating_sub(full / 512 * u32::from(random));
    scattered.max(asked.unwrap_or_default()).min(policy.cap)
}

pub(super) fn random() -> u8 {
    let mut byte = [128];
    // Without randomness, pauses are merely less scattered.
    let _ = aws_lc_rs::rand::fill(&mut byte);
    let [byte] = byte;
    byte
}

/// `Retry-After` in either form: seconds, or a date (RFC 9110, section 10.2.3).
pub(super) fn parse_retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    if let Ok(seconds) = value.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::parse(value.trim()).ok()?;
    let date = SystemTime::from(date.timestamp());
    Some(date.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    const POLICY: RetryPolicy = RetryPolicy {
        retries: 5,
        base: Duration::from_millis(100),
        cap: Duration::from_secs(10),
    };

    #[test]
    fn pauses_grow_scatter_and_stay_capped() {
        assert_eq!(pause(POLICY, 0, None, 0), Duration::from_millis(100));
        assert_eq!(pause(POLICY, 3, None, 0), Duration::from_millis(800));
        let scattered = pause(POLICY, 0, None, 255);
        assert!(
            scattered >= Duration::from_millis(50) && scattered < Duration::from_millis(52),
            "{scattered:?}"
        );
        assert_eq!(pause(POLICY, 200, None, 0), POLICY.cap);
        assert_eq!(
            pause(POLICY, 0, Some(Duration::from_secs(3)), 9),
            Duration::from_secs(3)
        );
        assert_eq!(pause(POLICY, 0, Some(Duration::from_secs(9999)), 9), POLICY.cap);
    }

    #[test]
    fn retry_after_in_both_forms() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        assert_eq!(parse_retry_after("7", now), Some(Duration::from_secs(7)));
        assert_eq!(
            parse_retry_after("Sun, 06 Nov 1994 08:49:47 GMT", now),
            Some(Duration::from_secs(10))
        );
        assert_eq!(
            parse_retry_after("Sun, 06 Nov 1994 08:49:27 GMT", now),
            Some(Duration::ZERO)
        );
        assert_eq!(parse_retry_after("soon", now), None);
        assert_eq!(parse_retry_after("-1", now), None);
    }
}
