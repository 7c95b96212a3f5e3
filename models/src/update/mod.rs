//! Updates over thin links: deltas against an older version and lists of chunks, as referrers of a manifest.
//!
//! [`prepare`] makes them in the store, from where a push takes them along; a pull uses them where they save bytes. They
//! are never trusted: what is made with them counts only when it has the digest that the verified manifest names.

mod error;
mod pairing;
mod prepare;
mod referrer;

pub use error::UpdateError;
pub use prepare::{Prepared, prepare};

pub(crate) use pairing::{Version, counterpart};
pub(crate) use prepare::MIN_LOCAL_BYTES;
pub(crate) use referrer::{Listed, Shortcut};

/// The smallest blob that is updated, in bytes: smaller ones come whole before a list of referrers has been asked for.
pub const MIN_BYTES: u64 = 1 << 20;

/// What an update may cost at most, in percent of the whole: above it, the work at both ends outweighs the bytes saved.
const WORTH_PERCENT: u128 = 70;

/// Whether fetching `cost` bytes instead of `whole` is worth the work.
pub(crate) fn is_worth(cost: u64, whole: u64) -> bool {
    u128::from(cost) * 100 < u128::from(whole) * WORTH_PERCENT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn less_than_seventy_percent_is_worth_it() {
        assert!(is_worth(69, 100) && !is_worth(70, 100));
        assert!(!is_worth(0, 0) && !is_worth(u64::MAX, u64::MAX) && is_worth(0, 1));
    }
}
