//! [`EngineReport`]: which engine would load a model, and why; what `inspect` shows to users.

use crate::signature::Signature;

/// Which engine loads a model, and what each one says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineReport {
    /// The engine that [`Engines::load`](crate::Engines::load) would use; `None` when it would refuse.
    pub chosen: Option<&'static str>,
    /// Why, in one sentence.
    pub reason: String,
    /// Every engine that was tried, in the order of preference.
    pub candidates: Vec<Candidate>,
}

/// What one engine makes of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The engine.
    pub engine: &'static str,
    /// The model's signature as this engine sees it, or why it does not load: the whole chain of causes on one line.
    pub outcome: Result<Signature, String>,
}
