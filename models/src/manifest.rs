//! OCI manifests and indexes, parsed under caps and with one meaning only.
//!
//! A document that could be read both as a manifest and as an index, or whose media type says something else than its
//! fields, is refused: two readers must never see two artifacts behind one digest (CVE-2021-41190).

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use crate::descriptor::{Annotations, Descriptor, null_as_default};
use crate::media_type;

/// Largest manifest or index that is read, in bytes; the limit that registries enforce as well.
pub const MAX_DOCUMENT_BYTES: u64 = 4 << 20;
/// The same as a slice length.
const MAX_LEN: usize = 4 << 20;
/// Most layers of a manifest, or entries of an index.
pub const MAX_ENTRIES: usize = 1_000;

/// An image manifest: one config and its layers (image-spec, "Image Manifest").
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Always 2.
    pub schema_version: u32,
    /// Media type of this document, if it states one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// What kind of artifact this is, when the config's media type does not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// Descriptor of the config blob.
    pub config: Descriptor,
    /// Descriptors of the layers, in order.
    #[serde(default, deserialize_with = "null_as_default")]
    pub layers: Vec<Descriptor>,
    /// The manifest that this one refers to: set in signatures and other referrers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// Metadata of the artifact.
    #[serde(
        default,
        deserialize_with = "null_as_default",
        skip_serializing_if = "Annotations::is_empty"
    )]
    pub annotations: Annotations,
}

impl Manifest {
    /// A manifest of `config` and `layers` and nothing else.
    #[must_use]
    pub fn new(config: Descriptor, layers: Vec<Descriptor>) -> Self {
        Self {
            schema_version: 2,
            media_type: Some(media_type::MANIFEST.to_owned()),
            artifact_type: None,
            config,
            layers,
            subject: None,
            annotations: Annotations::new(),
        }
    }

    /// `artifactType`, or the config's media type when it is unset or empty.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.artifact_type
            .as_deref()
            .filter(|kind| !kind.is_empty())
            .unwrap_or(&self.config.media_type)
    }
}

/// An image index: a list of manifests (image-spec, "Image Index").
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// Always 2.
    pub schema_version: u32,
    /// Media type of this document, if it states one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// What kind of artifact this is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// Descriptors of the manifests, in order.
    #[serde(default, deserialize_with = "null_as_default")]
    pub manifests: Vec<Descriptor>,
    /// The manifest that this index refers to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// Metadata of the artifact.
    #[serde(
        default,
        deserialize_with = "null_as_default",
        skip_serializing_if = "Annotations::is_empty"
    )]
    pub annotations: Annotations,
}

impl Index {
    /// An index of `manifests` and nothing else.
    #[must_use]
    pub fn new(manifests: Vec<Descriptor>) -> Self {
        Self {
            schema_version: 2,
            media_type: Some(media_type::INDEX.to_owned()),
            artifact_type: None,
            manifests,
            subject: None,
            annotations: Annotations::new(),
        }
    }
}

/// What a manifest digest can name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Document {
    /// One artifact.
    Manifest(Manifest),
    /// Several artifacts.
    Index(Index),
}

impl Document {
    /// Parses a manifest or an index.
    ///
    /// # Errors
    /// Anything larger than [`MAX_DOCUMENT_BYTES`], with more than [`MAX_ENTRIES`] entries, that is not JSON of the
    /// right shape, or whose media type is unknown or contradicts its fields.
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        if bytes.len() > MAX_LEN {
            return Err(ManifestError::TooLarge { size: bytes.len() });
        }
        let shape: Shape = serde_json::from_slice(bytes)?;
        if shape.schema_version != 2 {
            return Err(ManifestError::SchemaVersion {
                version: shape.schema_version,
            });
        }
        let document = match shape.kind()? {
            Kind::Manifest => Self::Manifest(serde_json::from_slice(bytes)?),
            Kind::Index => Self::Index(serde_json::from_slice(bytes)?),
        };
        let entries = match &document {
            Self::Manifest(manifest) => manifest.layers.len(),
            Self::Index(index) => index.manifests.len(),
        };
        if entries > MAX_ENTRIES {
            return Err(ManifestError::TooManyEntries { entries });
        }
        Ok(document)
    }

    /// Parses a document that a descriptor or a response header calls `expected`.
    ///
    /// # Errors
    /// As [`Document::parse`], and when the document is of another media type than `expected`.
    pub fn parse_as(expected: &str, bytes: &[u8]) -> Result<Self, ManifestError> {
        let document = Self::parse(bytes)?;
        let stated = document.stated_media_type();
        let agrees = match stated {
            Some(stated) => stated == expected,
            None => Kind::of(expected) == Some(document.kind()),
        };
        if agrees {
            return Ok(document);
        }
        let found = stated.unwrap_or_else(|| document.media_type()).to_owned();
        Err(ManifestError::Contradiction {
            expected: expected.to_owned(),
            found,
        })
    }

    /// The media type that the document states, or the OCI one of its kind.
    #[must_use]
    pub fn media_type(&self) -> &str {
        self.stated_media_type().unwrap_or(match self {
            Self::Manifest(_) => media_type::MANIFEST,
            Self::Index(_) => media_type::INDEX,
        })
    }

    /// `artifactType` of an index, or [`Manifest::kind`] of a manifest.
    #[must_use]
    pub fn artifact_type(&self) -> Option<&str> {
        match self {
            Self::Manifest(manifest) => Some(manifest.kind()),
            Self::Index(index) => index.artifact_type.as_deref(),
        }
    }

    /// The manifest that this document refers to, if it is a referrer.
    #[must_use]
    pub fn subject(&self) -> Option<&Descriptor> {
        match self {
            Self::Manifest(manifest) => manifest.subject.as_ref(),
            Self::Index(index) => index.subject.as_ref(),
        }
    }

    fn stated_media_type(&self) -> Option<&str> {
        match self {
            Self::Manifest(manifest) => manifest.media_type.as_deref(),
            Self::Index(index) => index.media_type.as_deref(),
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Manifest(_) => Kind::Manifest,
            Self::Index(_) => Kind::Index,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Manifest,
    Index,
}

impl Kind {
    fn of(media_type: &str) -> Option<Self> {
        match media_type {
            media_type::MANIFEST | media_type::DOCKER_MANIFEST => Some(Self::Manifest),
            media_type::INDEX | media_type::DOCKER_LIST => Some(Self::Index),
            _ => None,
        }
    }
}

/// Which of the two documents the fields speak of.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shape {
    schema_version: u32,
    media_type: Option<String>,
    config: Option<IgnoredAny>,
    layers: Option<IgnoredAny>,
    manifests: Option<IgnoredAny>,
    fs_layers: Option<IgnoredAny>,
}

impl Shape {
    fn kind(&self) -> Result<Kind, ManifestError> {
        let by_fields = match (self.config.is_some() || self.layers.is_some(), self.manifests.is_some()) {
            _ if self.fs_layers.is_some() => return Err(ManifestError::Ambiguous),
            (true, true) => return Err(ManifestError::Ambiguous),
            (true, false) => Kind::Manifest,
            (false, true) => Kind::Index,
            (false, false) => return Err(ManifestError::Shapeless),
        };
        let Some(stated) = &self.media_type else {
            return Ok(by_fields);
        };
        match Kind::of(stated) {
            Some(kind) if kind == by_fields => Ok(kind),
            Some(_) => Err(ManifestError::Contradiction {
                expected: stated.clone(),
                found: match by_fields {
                    Kind::Manifest => media_type::MANIFEST.to_owned(),
                    Kind::Index => media_type::INDEX.to_owned(),
                },
            }),
            None => Err(ManifestError::UnknownMediaType {
                media_type: stated.chars().take(128).collect(),
            }),
        }
    }
}

/// A document that is not a usable manifest or index.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// Over [`MAX_DOCUMENT_BYTES`].
    #[error("manifest has {size} bytes, more than the {MAX_DOCUMENT_BYTES} allowed")]
    TooLarge {
        /// Bytes of the document.
        size: usize,
    },
    /// Over [`MAX_ENTRIES`].
    #[error("manifest lists {entries} entries, more than the {MAX_ENTRIES} allowed")]
    TooManyEntries {
        /// Layers or manifests listed.
        entries: usize,
    },
    /// Not JSON, or not of the right shape.
    #[error("manifest is not valid OCI JSON")]
    Json(#[from] serde_json::Error),
    /// `schemaVersion` is not 2.
    #[error("manifest has schema version {version}, only 2 is read")]
    SchemaVersion {
        /// The version stated.
        version: u32,
    },
    /// Fields of a manifest and of an index, or of schema 1, in one document.
    #[error("manifest mixes the fields of several document kinds")]
    Ambiguous,
    /// Neither layers nor manifests.
    #[error("manifest has neither config and layers nor manifests")]
    Shapeless,
    /// A media type that is none of the four manifest types.
    #[error("manifest has the unknown media type {media_type:?}")]
    UnknownMediaType {
        /// The media type, cut to 128 characters.
        media_type: String,
    },
    /// The document is something else than what its name says.
    #[error("manifest is called {expected:?} but is {found:?}")]
    Contradiction {
        /// What the media type says.
        expected: String,
        /// What the document is.
        found: String,
    },
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::digest::Digest;

    fn manifest() -> Manifest {
        let layer = Descriptor::of(media_type::WASM, b"layer").annotated("k", "v");
        Manifest::new(Descriptor::of(media_type::EMPTY, b"{}"), vec![layer])
    }

    #[test]
    fn round_trips() {
        let bytes = serde_json::to_vec(&manifest()).unwrap();
        assert_eq!(Document::parse(&bytes).unwrap(), Document::Manifest(manifest()));
        assert_eq!(
            Document::parse_as(media_type::MANIFEST, &bytes).unwrap(),
            Document::Manifest(manifest())
        );
        let index = Index::new(vec![Descriptor::of(media_type::MANIFEST, &bytes)]);
        let bytes = serde_json::to_vec(&index).unwrap();
        assert_eq!(Document::parse(&bytes).unwrap(), Document::Index(index));
    }

    #[test]
    fn reads_go_nulls_and_a_missing_media_type() {
        let digest = Digest::of(b"{}");
        let text = format!(
            r#"{{"schemaVersion":2,"config":{{"mediaType":"a/b","digest":"{digest}","size":2,"annotations":null}},"layers":null,"annotations":null}}"#
        );
        let Document::Manifest(manifest) = Document::parse(text.as_bytes()).unwrap() else {
            panic!("not a manifest")
        };
        assert!(manifest.layers.is_empty() && manifest.annotations.is_empty());
        assert!(Document::parse_as(media_type::INDEX, text.as_bytes()).is_err());
    }

    #[test]
    fn refuses_hostile_documents() {
        let good = serde_json::to_string(&manifest()).unwrap();
        let ambiguous = good.replacen("\"config\"", "\"manifests\":[],\"config\"", 1);
        assert!(matches!(
            Document::parse(ambiguous.as_bytes()),
            Err(ManifestError::Ambiguous)
        ));
        let schema1 = good.replacen("\"config\"", "\"fsLayers\":[],\"config\"", 1);
        assert!(matches!(
            Document::parse(schema1.as_bytes()),
            Err(ManifestError::Ambiguous)
        ));
        let lying = good.replacen(media_type::MANIFEST, media_type::INDEX, 1);
        assert!(matches!(
            Document::parse(lying.as_bytes()),
            Err(ManifestError::Contradiction { .. })
        ));
        let unknown = good.replacen(media_type::MANIFEST, "text/plain", 1);
        assert!(matches!(
            Document::parse(unknown.as_bytes()),
            Err(ManifestError::UnknownMediaType { .. })
        ));
        let other = Document::parse_as(media_type::DOCKER_MANIFEST, good.as_bytes());
        assert!(matches!(other, Err(ManifestError::Contradiction { .. })));
        let version = good.replacen("\"schemaVersion\":2", "\"schemaVersion\":1", 1);
        assert!(matches!(
            Document::parse(version.as_bytes()),
            Err(ManifestError::SchemaVersion { version: 1 })
        ));
        assert!(matches!(
            Document::parse(b"{\"schemaVersion\":2}"),
            Err(ManifestError::Shapeless)
        ));
        let twice = good.replacen("\"config\"", "\"layers\":[],\"config\"", 1);
        for bad in [&twice, &good[..good.len() - 1], "", "[]", "null"] {
            assert!(
                matches!(Document::parse(bad.as_bytes()), Err(ManifestError::Json(_))),
                "{bad}"
            );
        }
        let negative = good.replacen("\"size\":2", "\"size\":-2", 1);
        assert!(matches!(
            Document::parse(negative.as_bytes()),
            Err(ManifestError::Json(_))
        ));
        let algorithm = good.replacen("sha256:", "sha512:", 1);
        assert!(matches!(
            Document::parse(algorithm.as_bytes()),
            Err(ManifestError::Json(_))
        ));
        assert!(matches!(
            Document::parse(&vec![b' '; MAX_LEN + 1]),
            Err(ManifestError::TooLarge { .. })
        ));
        let deep = "[".repeat(100_000);
        assert!(matches!(Document::parse(deep.as_bytes()), Err(ManifestError::Json(_))));
        let mut many = manifest();
        many.layers = vec![many.config.clone(); MAX_ENTRIES + 1];
        let many = serde_json::to_vec(&many).unwrap();
        assert!(matches!(
            Document::parse(&many),
            Err(ManifestError::TooManyEntries { .. })
        ));
    }
}
