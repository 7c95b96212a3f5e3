//! The time of day, as a function that callers can replace: what judges times is given one and reads none by itself.

use jiff::Timestamp;

/// Says what time it is.
pub type Clock = fn() -> Timestamp;

/// The system's clock.
#[must_use]
pub fn system() -> Timestamp {
    Timestamp::now()
}
