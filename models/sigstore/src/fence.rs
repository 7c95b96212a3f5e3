//! The fence around the dependency: a panic in it on hostile input is a refusal, not the end of the process.
//!
//! The panic hook still prints where it happened. With `panic = "abort"` there is no fence; no profile of the workspace
//! has it.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// The dependency panicked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Panicked;

/// Runs `work` and survives its panics.
///
/// Unwind safety is asserted: callers pass borrowed, immutable inputs, and drop whatever a panicking call was building.
pub(crate) fn fenced<T>(work: impl FnOnce() -> T) -> Result<T, Panicked> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| Panicked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error() {
        let indexed = fenced(|| {
            let bytes: Vec<u8> = std::hint::black_box(Vec::new());
            bytes[0]
        });
        assert_eq!(indexed, Err(Panicked));
        assert_eq!(fenced(|| 1), Ok(1));
    }
}
