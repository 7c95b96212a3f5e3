//! How a caller watches a transfer.

use crate::descriptor::Descriptor;

/// Told of every blob that is transferred, from several tasks at once. All methods do nothing unless implemented.
pub trait Progress: Send + Sync {
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
