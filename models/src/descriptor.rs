//! OCI content descriptors: what a manifest says of a blob (media type, digest, size) before anybody has looked at it.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

use crate::digest::Digest;

/// Free-form metadata, sorted by key so that equal content has equal bytes.
pub type Annotations = BTreeMap<String, String>;

/// A claim about a blob (image-spec, "Descriptor"). Only inside [`crate::Verified`] is it more than a claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// Media type of the content.
    pub media_type: String,
    /// Digest of the content.
    pub digest: Digest,
    /// Size of the content in bytes.
    pub size: u64,
    /// Metadata; absent and `null` read as empty.
    #[serde(
        default,
        deserialize_with = "null_as_default",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub annotations: Annotations,
    /// Where the content runs; in entries of an index only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// `artifactType` of the manifest that the descriptor points to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
}

impl Descriptor {
    /// A descriptor of `size` bytes without any of the optional parts.
    #[must_use]
    pub fn new(media_type: &str, digest: Digest, size: u64) -> Self {
        Self {
            media_type: media_type.to_owned(),
            digest,
            size,
            annotations: Annotations::new(),
            platform: None,
            artifact_type: None,
        }
    }

    /// A descriptor of `bytes`.
    #[must_use]
    pub fn of(media_type: &str, bytes: &[u8]) -> Self {
        Self::new(
            media_type,
            Digest::of(bytes),
            u64::try_from(bytes.len()).unwrap_or(u64::MAX),
        )
    }

    /// The same descriptor with one more annotation.
    #[must_use]
    pub fn annotated(mut self, key: &str, value: &str) -> Self {
        self.annotations.insert(key.to_owned(), value.to_owned());
        self
    }
}

/// Platform of an index entry (image-spec, "Image Index").
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Platform {
    /// Instruction set, `wasm` for modules.
    pub architecture: String,
    /// Operating system, `wasip1` or `wasip2` for modules.
    pub os: String,
    /// Variant of the instruction set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

/// Reads `null` as the default: writers in Go emit it for empty maps and lists.
pub(crate) fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}
