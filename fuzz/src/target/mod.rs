//! What is fuzzed: [`Target`], one per parser of outside bytes, and the list of [`all`] of them.

mod archive;
mod delta;
mod documents;
mod share;
mod signatures;
mod text;
mod weights;

use anyhow::Result;

/// A parser under test.
pub(crate) struct Target {
    pub(crate) name: &'static str,
    /// One line for the list.
    pub(crate) about: &'static str,
    /// Words of the format.
    pub(crate) words: &'static [&'static str],
    /// Whether the product catches panics of a dependency here; they are reported and are no failure.
    pub(crate) is_fenced: bool,
    pub(crate) prepare: fn() -> Result<Prepared>,
}

/// Tries an input and says whether it was accepted; panics where a property does not hold.
type Check = Box<dyn Fn(&[u8]) -> bool>;

/// A target that is ready to run.
pub(crate) struct Prepared {
    /// Valid inputs.
    pub(crate) seeds: Vec<Vec<u8>>,
    /// The property.
    pub(crate) check: Check,
}

impl Prepared {
    pub(crate) fn new(seeds: Vec<Vec<u8>>, check: impl Fn(&[u8]) -> bool + 'static) -> Self {
        Self {
            seeds,
            check: Box::new(check),
        }
    }
}

/// All targets.
pub(crate) fn all() -> Vec<Target> {
    [
        delta::targets(),
        weights::targets(),
        documents::targets(),
        text::targets(),
        signatures::targets(),
        archive::targets(),
        share::targets(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
