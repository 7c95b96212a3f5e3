//! The lock between those who rely on what is in the store and the one who throws away: shared by the former while they
//! write down what they rely on, held alone by the latter while it looks and removes.

use fs_err::os::unix::fs::OpenOptionsExt as _;

use super::{Store, StoreError};

/// Holds the gate; dropping it lets others through.
#[derive(Debug)]
pub(super) struct Gate(#[allow(dead_code, reason = "closing the file is what it is for")] fs_err::File);

impl Store {
    /// For those who rely on blobs: tags, pins and leases are written under this.
    pub(super) fn share_gate(&self) -> Result<Gate, StoreError> {
        let file = self.gate_file()?;
        file.file().lock_shared().map_err(StoreError::io("lock the store"))?;
        Ok(Gate(file))
    }

    /// For those who remove blobs. Waits until nobody else is inside.
    pub(super) fn close_gate(&self) -> Result<Gate, StoreError> {
        let file = self.gate_file()?;
        file.file().lock().map_err(StoreError::io("lock the store"))?;
        Ok(Gate(file))
    }

    fn gate_file(&self) -> Result<fs_err::File, StoreError> {
        self.check_writable()?;
        fs_err::OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o644)
            .open(self.root().join("gc.lock"))
            .map_err(StoreError::io("open the store's lock"))
    }
}
