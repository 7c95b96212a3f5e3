//! Pins: names whose artifacts stay, whatever becomes of their tags, and whose tags are never evicted.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::tags::tag_name;
use super::{Store, StoreError};
use crate::descriptor::Descriptor;
use crate::reference::Reference;

/// Largest list of pins that is read.
const MAX_PINS_BYTES: u64 = 16 << 20;

#[derive(Debug, Default, Serialize, Deserialize)]
struct File {
    pins: BTreeMap<String, Descriptor>,
}

impl Store {
    /// Keeps what `reference` names now, under its name.
    ///
    /// # Errors
    /// When the reference has no tag, the store does not have it, or cannot be written.
    pub fn pin(&self, reference: &Reference) -> Result<Descriptor, StoreError> {
        let name = tag_name(reference)?;
        self.change_pins(|pins| {
            let descriptor = self.resolve(reference)?;
            pins.insert(name, descriptor.clone());
            Ok(descriptor)
        })
    }

    /// Takes the pin away; the tag stays.
    ///
    /// # Errors
    /// When there is no such pin, or the store cannot be written.
    pub fn unpin(&self, reference: &Reference) -> Result<(), StoreError> {
        let name = tag_name(reference)?;
        self.change_pins(|pins| match pins.remove(&name) {
            Some(_) => Ok(()),
            None => Err(StoreError::UnknownReference { reference: name }),
        })
    }

    /// All pins by name.
    ///
    /// # Errors
    /// When the list cannot be read.
    pub fn pins(&self) -> Result<BTreeMap<String, Descriptor>, StoreError> {
        let path = self.pins_path();
        let file = match super::blob::open_plain(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
            Err(source) => return Err(StoreError::io("open pins")(source)),
        };
        let mut bytes = Vec::new();
        let read = file.take(MAX_PINS_BYTES).read_to_end(&mut bytes);
        read.map_err(StoreError::io("read pins"))?;
        let file: File = serde_json::from_slice(&bytes).map_err(|source| StoreError::BrokenIndex { path, source })?;
        Ok(file.pins)
    }

    fn change_pins<T>(
        &self,
        change: impl FnOnce(&mut BTreeMap<String, Descriptor>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let _gate = self.share_gate()?;
        let _lock = self.lock_index()?;
        let mut pins = self.pins()?;
        let outcome = change(&mut pins)?;
        let bytes = serde_json::to_vec(&File { pins }).map_err(|source| StoreError::Encode {
            what: "the pins",
            source,
        })?;
        self.replace(&self.pins_path(), &bytes)?;
        Ok(outcome)
    }

    fn pins_path(&self) -> PathBuf {
        self.root().join("pins.json")
    }
}
