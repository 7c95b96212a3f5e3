//! Room on the disk, asked for before gigabytes are fetched.

use super::{Store, StoreError};

/// What a file system keeps free, in bytes: a disk filled to the last block hurts more than a refused pull.
const RESERVE_BYTES: u64 = 16 << 20;

impl Store {
    /// Bytes that the store's file system has left for this user; `None` when it does not tell.
    #[must_use]
    pub fn free_bytes(&self) -> Option<u64> {
        let space = rustix::fs::statvfs(self.root()).ok()?;
        space.f_bavail.checked_mul(space.f_frsize)
    }

    /// Refuses to begin what will not fit: `size` bytes, of which `allocated` have their place already.
    pub(super) fn check_space(&self, size: u64, allocated: u64) -> Result<(), StoreError> {
        let needed = size.saturating_sub(allocated);
        match self.free_bytes() {
            Some(available) if needed > 0 && available < needed.saturating_add(RESERVE_BYTES) => {
                Err(StoreError::InsufficientSpace {
                    path: self.root().to_owned(),
                    needed,
                    available,
                })
            }
            _ => Ok(()),
        }
    }
}
