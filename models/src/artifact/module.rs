//! Module artifacts: the CNCF Wasm OCI artifact, and the module of fat and plain artifacts in the same terms.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{ArtifactError, Capabilities, ModelLink, Opener};
use crate::descriptor::{Descriptor, null_as_default};
use crate::digest::Digest;
use crate::format::{self, Content};
use crate::manifest::Manifest;
use crate::media_type;
use crate::store::StoreError;
use crate::verify::Verified;

/// A WebAssembly module or component, and what it needs.
#[derive(Debug, Clone)]
pub struct ModuleArtifact {
    /// Descriptor of the manifest.
    pub descriptor: Verified<Descriptor>,
    /// The manifest.
    pub manifest: Verified<Manifest>,
    /// The WebAssembly binary.
    pub module: Verified<Descriptor>,
    /// Which WASI it is for.
    pub os: WasmOs,
    /// The models it may open by name.
    pub models: Vec<ModelLink>,
    /// What it asks its host for.
    pub capabilities: Capabilities,
}

impl ModuleArtifact {
    /// The link of that name.
    #[must_use]
    pub fn link(&self, name: &str) -> Option<&ModelLink> {
        self.models.iter().find(|link| link.name == name)
    }
}

/// The WASI that a binary is for, by the name of `os` in its config.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WasmOs {
    /// A core module of WASI 0.1.
    Wasip1,
    /// A component of WASI 0.2 or later.
    Wasip2,
}

impl WasmOs {
    /// The name in configs and platforms.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Wasip1 => "wasip1",
            Self::Wasip2 => "wasip2",
        }
    }
}

impl fmt::Display for WasmOs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The config of a module artifact (CNCF Wasm OCI artifact, version 0).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WasmConfig {
    /// When it was made, RFC 3339. Readers in the field require it.
    #[serde(default)]
    pub created: String,
    /// Who made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// Always `wasm`.
    pub architecture: String,
    /// `wasip1` or `wasip2`.
    pub os: String,
    /// Digests of the layers, in order.
    #[serde(default, deserialize_with = "null_as_default")]
    pub layer_digests: Vec<Digest>,
    /// Imports and exports; with `wasip2` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub component: Option<WasmComponent>,
}

/// What a component takes and gives, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WasmComponent {
    /// Names of exports, in the order of the binary.
    #[serde(default, deserialize_with = "null_as_default")]
    pub exports: Vec<String>,
    /// Names of imports, in the order of the binary.
    #[serde(default, deserialize_with = "null_as_default")]
    pub imports: Vec<String>,
    /// The world it is made for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
}

impl Opener<'_> {
    /// The module `layer` of `manifest`.
    pub(super) fn module(
        &self,
        manifest: Verified<Manifest>,
        module: Verified<Descriptor>,
    ) -> Result<ModuleArtifact, ArtifactError> {
        let os = if manifest.config.media_type == media_type::WASM_CONFIG {
            self.configured_os(&manifest)?
        } else {
            self.detected_os(&module)?
        };
        Ok(ModuleArtifact {
            descriptor: self.descriptor.clone(),
            module,
            os,
            models: ModelLink::list(&manifest)?,
            capabilities: Capabilities::of(&manifest)?,
            manifest,
        })
    }

    fn configured_os(&self, manifest: &Verified<Manifest>) -> Result<WasmOs, ArtifactError> {
        let config: WasmConfig = self.config(manifest, "Wasm config")?;
        let unknown = |field, value| ArtifactError::Platform {
            digest: self.descriptor.digest,
            field,
            value,
        };
        if config.architecture != "wasm" {
            return Err(unknown("architecture", config.architecture));
        }
        match config.os.as_str() {
            "wasip1" => Ok(WasmOs::Wasip1),
            "wasip2" => Ok(WasmOs::Wasip2),
            _ => Err(unknown("os", config.os)),
        }
    }

    /// For artifacts without a Wasm config: components are WASI 0.2, modules 0.1.
    pub(super) fn detected_os(&self, module: &Verified<Descriptor>) -> Result<WasmOs, ArtifactError> {
        let failed = ArtifactError::store(self.descriptor.digest);
        let blob = self.store.open_blob(module).map_err(&failed)?;
        let content = format::detect(&blob.as_ref()).map_err(StoreError::io("classify module"));
        match content.map_err(&failed)? {
            Content::Module => Ok(WasmOs::Wasip1),
            Content::Component => Ok(WasmOs::Wasip2),
            _ => Err(ArtifactError::NotWasm { digest: module.digest }),
        }
    }
}
