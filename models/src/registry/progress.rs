//! How a caller watches a transfer: events, and for simple watchers three methods that the events are passed on to.

use serde::Serialize;

use crate::descriptor::Descriptor;
use crate::digest::Digest;

/// Something that happened to a blob on its way. Serialises as one JSON object with the field `event`.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event<'a> {
    /// The transfer begins at the first byte.
    Started {
        /// The blob.
        blob: &'a Descriptor,
    },
    /// The transfer goes on where an earlier one stopped.
    Resumed {
        /// The blob.
        blob: &'a Descriptor,
        /// Bytes that are there already.
        at: u64,
    },
    /// More bytes were transferred.
    Progress {
        /// The blob.
        blob: &'a Descriptor,
        /// How many more.
        bytes: u64,
    },
    /// The blob is there, whole and checked.
    Done {
        /// The blob.
        blob: &'a Descriptor,
        /// Whether it was there before.
        reused: bool,
    },
    /// An attempt failed in a way that may pass.
    Retry {
        /// The blob.
        blob: &'a Descriptor,
        /// Why.
        reason: &'a str,
        /// Milliseconds until the next attempt.
        pause_ms: u64,
    },
    /// Another endpoint is asked from here on.
    Endpoint {
        /// The blob.
        blob: &'a Descriptor,
        /// `host` or `host:port`.
        endpoint: &'a str,
        /// Why the one before is not.
        reason: &'a str,
    },
    /// Another process is fetching the same blob; this one waits for it.
    Waiting {
        /// The blob.
        blob: &'a Descriptor,
    },
    /// What was fetched has another digest and is thrown away; the transfer begins anew.
    Discarded {
        /// The blob.
        blob: &'a Descriptor,
    },
    /// A new blob is compared with the one it comes after, to find what updates need not carry.
    Comparing {
        /// The new blob.
        blob: &'a Descriptor,
        /// The older one.
        base: &'a Digest,
    },
    /// The blob is made here, of what has just been fetched and of older blobs.
    Rebuilding {
        /// The blob.
        blob: &'a Descriptor,
        /// With what: a delta, or a list of chunks.
        by: Means,
    },
    /// Bytes of the blob that need not be fetched.
    Saved {
        /// The blob.
        blob: &'a Descriptor,
        /// How many, less those that were fetched to know it.
        bytes: u64,
        /// By what means.
        by: Means,
    },
    /// What should have saved bytes did not: the blob is fetched as any other.
    Fallback {
        /// The blob.
        blob: &'a Descriptor,
        /// What failed.
        by: Means,
        /// In which way.
        reason: &'a str,
    },
    /// The registry took the blob over from another of its repositories.
    Mounted {
        /// The blob.
        blob: &'a Descriptor,
        /// That repository.
        from: &'a str,
    },
}

/// What an update is made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Means {
    /// A delta against a blob that is here.
    Delta,
    /// A list of chunks, of which older blobs here have some.
    Chunks,
}

/// Told of every blob that is transferred, from several tasks at once. All methods do nothing unless implemented.
pub trait Progress: Send + Sync {
    /// Something happened. Unless implemented, the other methods are called with what they understand.
    fn event(&self, event: &Event<'_>) {
        match *event {
            Event::Started { blob } => self.begin(blob),
            Event::Resumed { blob, at } => {
                self.begin(blob);
                self.advance(blob, at);
            }
            Event::Progress { blob, bytes } => self.advance(blob, bytes),
            Event::Done { blob, reused } => self.end(blob, reused),
            _ => {}
        }
    }

    /// The transfer of `blob` begins, or begins again from its first byte.
    fn begin(&self, blob: &Descriptor) {
        let _ = blob;
    }

    /// `bytes` more of `blob` were transferred.
    fn advance(&self, blob: &Descriptor, bytes: u64) {
        let _ = (blob, bytes);
    }

    /// `blob` is there; with `reused`, it was there before.
    fn end(&self, blob: &Descriptor, reused: bool) {
        let _ = (blob, reused);
    }
}

/// Watches nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoProgress;

impl Progress for NoProgress {}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn events_are_json_lines() {
        let blob = Descriptor::of("a/b", b"");
        let text = serde_json::to_string(&Event::Resumed { blob: &blob, at: 7 }).unwrap();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["event"], "resumed");
        assert_eq!(value["at"], 7);
        assert_eq!(value["blob"]["digest"], blob.digest.to_string());
    }
}
