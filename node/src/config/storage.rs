//! `[store]`: how much the content store may hold before old artifacts have to go.

use std::time::Duration;

use serde::Deserialize;

use super::size::parse_size;

/// Age after which an unfinished download is garbage: long enough for a week-end without a link.
const PARTIAL_MAX_AGE: Duration = Duration::from_secs(72 * 3600);
/// Longest age that can be asked for, in hours: ten years.
const MAX_HOURS: u64 = 24 * 3660;

/// Limits of the content store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageSettings {
    /// Bytes above which `gc --evict` removes the artifacts that were used longest ago.
    pub high_watermark: Option<u64>,
    /// Bytes down to which it goes then; the high watermark where it is not given.
    pub low_watermark: Option<u64>,
    /// Bytes that stay free on the file system.
    pub min_free: Option<u64>,
    /// Age after which an unfinished download is garbage.
    pub partial_max_age: Duration,
}

impl Default for StorageSettings {
    fn default() -> Self {
        Self {
            high_watermark: None,
            low_watermark: None,
            min_free: None,
            partial_max_age: PARTIAL_MAX_AGE,
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct WrittenStorage {
    high_watermark: Option<WrittenSize>,
    low_watermark: Option<WrittenSize>,
    min_free: Option<WrittenSize>,
    partial_max_age_hours: Option<u64>,
}

/// Bytes as a number, or a text such as `80G`.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum WrittenSize {
    Bytes(u64),
    Text(String),
}

impl WrittenStorage {
    pub(super) fn check(self, faults: &mut Vec<String>) -> StorageSettings {
        let mut bytes = |field: &str, written: Option<WrittenSize>| match written? {
            WrittenSize::Bytes(bytes) => Some(bytes),
            WrittenSize::Text(text) => {
                let size = parse_size(&text);
                if size.is_none() {
                    faults.push(format!(
                        "store.{field}: must be bytes, or a number with K, M, G or T (powers of 1024)"
                    ));
                }
                size
            }
        };
        let high_watermark = bytes("high_watermark", self.high_watermark);
        let low_watermark = bytes("low_watermark", self.low_watermark);
        let min_free = bytes("min_free", self.min_free);
        if let Some(low) = low_watermark
            && high_watermark.is_none_or(|high| low > high)
        {
            faults.push("store.low_watermark: must not be above store.high_watermark".to_owned());
        }
        let hours = self.partial_max_age_hours;
        if hours.is_some_and(|hours| hours > MAX_HOURS) {
            faults.push(format!("store.partial_max_age_hours: at most {MAX_HOURS}"));
        }
        StorageSettings {
            high_watermark,
            low_watermark,
            min_free,
            partial_max_age: hours.map_or(PARTIAL_MAX_AGE, |hours| Duration::from_secs(hours.saturating_mul(3600))),
        }
    }
}
