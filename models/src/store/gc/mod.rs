//! Garbage collection: a plan that says what nobody needs, and its execution, which looks again before it removes.
//!
//! Needed is what tags, pins and leases name, with referrers and linked models. What is young is left alone, for it may
//! just be on its way to a tag. Only on request are tags evicted, the longest unused first.

mod execute;
mod plan;

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use crate::digest::Digest;

/// Age below which an unneeded blob stays: longer than it takes from storing to tagging.
const GRACE: Duration = Duration::from_secs(15 * 60);
/// Age from which a partial blob is not expected to be continued.
const PARTIAL_AGE: Duration = Duration::from_secs(7 * 24 * 3600);

/// What to collect.
#[derive(Debug, Clone, Serialize)]
pub struct GcOptions {
    /// Blobs younger than this stay.
    pub grace: Duration,
    /// Partial blobs, and what lies in quarantine, older than this go.
    pub partial_age: Duration,
    /// Whether tags are evicted to make room, and how much.
    pub evict: Option<Evict>,
}

impl Default for GcOptions {
    fn default() -> Self {
        Self {
            grace: GRACE,
            partial_age: PARTIAL_AGE,
            evict: None,
        }
    }
}

/// When tags are evicted.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Evict {
    /// Bytes of all blobs above which eviction begins.
    pub high_bytes: u64,
    /// Bytes at which it ends.
    pub low_bytes: u64,
    /// Bytes that are to be free on the file system.
    pub min_free_bytes: u64,
}

/// What a collection would do.
#[derive(Debug, Clone, Serialize)]
pub struct GcPlan {
    /// Tags to be evicted, with what they name.
    pub evict: Vec<(String, Digest)>,
    /// Lists of referrers whose subject is not needed, by name.
    pub lists: Vec<String>,
    /// Blobs to be removed, with their sizes.
    pub blobs: Vec<(Digest, u64)>,
    /// Other files to be removed: partial blobs, void leases, notes of use, quarantine.
    pub files: Vec<PathBuf>,
    /// Bytes of all that is to be removed.
    pub freed_bytes: u64,
    /// Bytes of the blobs that stay.
    pub kept_bytes: u64,
    /// Bytes that eviction could not make free, because the rest is pinned, leased, or young.
    pub missing_bytes: u64,
    /// The options it was made with.
    pub options: GcOptions,
}

/// What a collection did.
#[derive(Debug, Clone, Default, Serialize)]
pub struct GcReport {
    /// Tags evicted.
    pub evicted: Vec<String>,
    /// Blobs removed.
    pub blobs: usize,
    /// Other files removed.
    pub files: usize,
    /// Bytes removed.
    pub freed_bytes: u64,
}
