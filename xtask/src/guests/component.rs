//! Making a component of a core module that speaks WASI preview 1, as a toolchain for `wasm32-wasip2` does when it links.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use fs_err as fs;
use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
};

use super::manifest::Kind;
use crate::{
    assets::{self, AssetError},
    cache::Cache,
    output::last_line,
};

/// A module did not become a component.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ComponentError {
    /// The tool that makes components is missing.
    #[error(transparent)]
    Tool(#[from] AssetError),
    /// A file could not be read or written, or the tool not be started.
    #[error("cannot run wasm-tools")]
    Io(#[from] std::io::Error),
    /// The tool refused the module.
    #[error("wasm-tools refused it: {detail}")]
    Refused {
        /// Its last line.
        detail: String,
    },
}

/// Writes the component of the module at `core`, whose interfaces wit-bindgen has described in it, beside it.
pub(super) fn encode(cache: &Cache, core: &Path, kind: Kind) -> Result<PathBuf, ComponentError> {
    let tool = assets::ensure(cache, "wasm-tools")?.join("wasm-tools");
    let adapter = match kind {
        Kind::Command => WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER,
        Kind::Reactor => WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
    };
    let adapter_path = core.with_extension("adapter.wasm");
    fs::write(&adapter_path, adapter)?;
    let mut adapt = OsString::from(WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME);
    adapt.push("=");
    adapt.push(&adapter_path);
    let component = core.with_extension("component.wasm");
    let output = Command::new(tool)
        .args(["component", "new"])
        .arg(core)
        .arg("--adapt")
        .arg(adapt)
        .arg("--output")
        .arg(&component)
        .stdin(Stdio::null())
        .output()?;
    if output.status.success() {
        return Ok(component);
    }
    Err(ComponentError::Refused {
        detail: last_line(&output.stderr),
    })
}
