//! What a module says in its manifest's annotations: the models that it opens by name, and what it asks its host for.

use serde::{Deserialize, Serialize};

use super::ArtifactError;
use crate::annotation;
use crate::digest::Digest;
use crate::manifest::Manifest;

/// Most models of one module.
const MAX_LINKS: usize = 256;
/// Longest name by which a model is opened, in bytes.
const MAX_NAME_LEN: usize = 128;

/// A model that a module may open by name, pinned by digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelLink {
    /// The name that the guest opens.
    pub name: String,
    /// Digest of the model's manifest.
    pub digest: Digest,
    /// Where it can be pulled from.
    #[serde(default, rename = "ref", skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// wasi-nn encoding, as `onnx` or `gguf`; `None` leaves it to the model's format.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoding: Option<String>,
    /// Whether the module runs without it.
    #[serde(default)]
    pub optional: bool,
}

impl ModelLink {
    /// The models of `manifest`, in order; none when it has no such annotation.
    ///
    /// # Errors
    /// When the annotation is not a list of links, is too long, or uses a name twice.
    pub fn list(manifest: &Manifest) -> Result<Vec<Self>, ArtifactError> {
        let Some(text) = manifest.annotations.get(annotation::MODELS) else {
            return Ok(Vec::new());
        };
        let links: Vec<Self> = serde_json::from_str(text).map_err(|source| ArtifactError::Annotation {
            key: annotation::MODELS,
            source,
        })?;
        Self::check(&links)?;
        Ok(links)
    }

    /// The link to the model that lies in `manifest` together with its module. A list cannot name it: `digest`, the
    /// manifest's own, is not known before the list is.
    ///
    /// # Errors
    /// When the annotation that names it is not usable as a name.
    pub(crate) fn inside(manifest: &Manifest, digest: Digest) -> Result<Self, ArtifactError> {
        let name = manifest.annotations.get(annotation::MODEL_NAME).map(String::as_str);
        let link = Self {
            name: name.unwrap_or("default").to_owned(),
            digest,
            reference: None,
            encoding: None,
            optional: false,
        };
        Self::check(std::slice::from_ref(&link))?;
        Ok(link)
    }

    /// Checks the rules for a whole list.
    pub(crate) fn check(links: &[Self]) -> Result<(), ArtifactError> {
        if links.len() > MAX_LINKS {
            return Err(ArtifactError::TooManyLinks {
                links: links.len(),
                limit: MAX_LINKS,
            });
        }
        for (position, link) in links.iter().enumerate() {
            let name = &link.name;
            let is_name = (1..=MAX_NAME_LEN).contains(&name.len()) && !name.chars().any(char::is_control);
            if !is_name || links.iter().take(position).any(|earlier| earlier.name == *name) {
                return Err(ArtifactError::LinkName {
                    name: name.chars().take(MAX_NAME_LEN).collect(),
                });
            }
        }
        Ok(())
    }
}

/// What a module asks for. Asking grants nothing: the host's configuration does.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Capabilities {
    /// Hosts it wants to connect to, as `host` or `host:port`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// Folders it wants to see, by guest path.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dirs: Vec<Dir>,
    /// Names of environment variables it reads.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
    /// Linear memory it needs, in MiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_mib: Option<u32>,
    /// Requests that one instance may answer, one after the other: what the module's author knows its state can bear.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_reuse: Option<u32>,
}

/// A folder that a module asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Dir {
    /// Absolute path inside the guest.
    pub guest: String,
    /// Whether it wants to write there.
    #[serde(default)]
    pub writable: bool,
}

impl Capabilities {
    /// What `manifest` asks for; nothing when it has no such annotation.
    ///
    /// # Errors
    /// When the annotation is not of this shape: what is not understood cannot be weighed.
    pub fn of(manifest: &Manifest) -> Result<Self, ArtifactError> {
        let Some(text) = manifest.annotations.get(annotation::CAPABILITIES) else {
            return Ok(Self::default());
        };
        serde_json::from_str(text).map_err(|source| ArtifactError::Annotation {
            key: annotation::CAPABILITIES,
            source,
        })
    }
}
