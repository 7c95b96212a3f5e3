//! The configuration as it is written, before any value of it is believed.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{
    NodeConfig,
    registry::{self, WrittenRegistry},
    storage::WrittenStorage,
};

/// Most parallel ranges of one blob: more only takes connections from others.
const MAX_STREAMS: usize = 32;

/// The whole file.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct File {
    registry: Vec<WrittenRegistry>,
    transfer: Transfer,
    store: WrittenStorage,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Transfer {
    proxy: Option<String>,
    credentials: Vec<PathBuf>,
    streams: Option<usize>,
    deltas: Option<bool>,
}

impl File {
    /// The settings; `faults` gets a line for every value that makes none.
    pub(super) fn check(self, folder: &Path, faults: &mut Vec<String>) -> NodeConfig {
        if let Some(proxy) = &self.transfer.proxy
            && !["http://", "https://"].iter().any(|scheme| proxy.starts_with(scheme))
        {
            faults.push("transfer.proxy: must be an http:// or https:// URL".to_owned());
        }
        if self
            .transfer
            .streams
            .is_some_and(|streams| !(1..=MAX_STREAMS).contains(&streams))
        {
            faults.push(format!("transfer.streams: must be between 1 and {MAX_STREAMS}"));
        }
        NodeConfig {
            registries: self
                .registry
                .into_iter()
                .enumerate()
                .map(|(position, written)| registry::check(written, position, folder, faults))
                .collect(),
            proxy: self.transfer.proxy,
            credentials: self.transfer.credentials.iter().map(|file| folder.join(file)).collect(),
            streams: self.transfer.streams,
            deltas: self.transfer.deltas,
            storage: self.store.check(faults),
        }
    }
}
