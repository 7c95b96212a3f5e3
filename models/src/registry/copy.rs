//! Copying between repositories without a store: manifests pass through memory, blobs stream and are hashed on the way,
//! or are mounted where both repositories are of one registry.

use std::fmt;
use std::sync::Arc;

use super::Registry;
use super::error::PushError;
use super::progress::{NoProgress, Progress};
use super::publish::{Origin, Part, Publisher};
use super::route::Route;
use super::transport::TransportError;
use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::manifest::{Document, MAX_DOCUMENT_BYTES};
use crate::media_type;
use crate::reference::Reference;
use crate::verify::legacy_tags;

/// Most bytes of all manifests of an index together: they are held in memory.
const MAX_MANIFEST_BYTES: u64 = 64 << 20;

/// How to copy.
#[derive(Clone)]
pub struct CopyOptions {
    /// Whether what refers to the artifact (signatures, attestations) goes along.
    pub referrers: bool,
    /// Who watches.
    pub progress: Arc<dyn Progress>,
}

impl Default for CopyOptions {
    fn default() -> Self {
        Self {
            referrers: true,
            progress: Arc::new(NoProgress),
        }
    }
}

impl fmt::Debug for CopyOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CopyOptions")
            .field("referrers", &self.referrers)
            .finish_non_exhaustive()
    }
}

/// What a copy did.
#[derive(Debug, Clone)]
pub struct CopyReport {
    /// The artifact.
    pub descriptor: Descriptor,
    /// Blobs sent.
    pub sent: usize,
    /// Blobs that were there.
    pub reused: usize,
    /// Blobs that the registry took over from the other repository.
    pub mounted: usize,
    /// Bytes of the blobs sent.
    pub bytes: u64,
    /// Signatures and other referrers copied.
    pub referrers: usize,
}

/// A failed copy. The tag at the target is as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CopyError {
    /// A name has no registry.
    #[error("{reference} names no registry to copy from or to")]
    NoRegistry {
        /// The name.
        reference: Reference,
    },
    /// The source cannot give a manifest or a list of referrers.
    #[error("cannot read {reference}")]
    Source {
        /// The manifest.
        reference: Reference,
        /// Why not.
        #[source]
        source: TransportError,
    },
    /// The source's manifest is not the one that was asked for.
    #[error("the registry's manifest for {reference} has the digest {found}")]
    WrongManifest {
        /// What was asked for.
        reference: Reference,
        /// What the bytes hash to.
        found: Digest,
    },
    /// The manifests of an index have too many bytes together.
    #[error("the manifests of {reference} have {total} bytes, more than the {MAX_MANIFEST_BYTES} allowed")]
    TooLarge {
        /// The index.
        reference: Reference,
        /// Their bytes.
        total: u64,
    },
    /// The target does not take it.
    #[error("cannot write {reference}")]
    Target {
        /// Where to.
        reference: Reference,
        /// Why not.
        #[source]
        source: Box<PushError>,
    },
}

impl CopyError {
    /// One line that tells the user what to do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoRegistry { .. } => Some("write HOST/repository:tag on both sides".to_owned()),
            Self::Source { source, .. } => source.hint(),
            Self::Target { source, .. } => source.hint(),
            Self::WrongManifest { .. } | Self::TooLarge { .. } => None,
        }
    }
}

impl Registry {
    /// Copies the artifact `from` to the name `to`. Nothing is judged: a copy is as trustworthy as its signatures.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the tag at the target as it was; what was sent by then stays and is reused.
    ///
    /// # Errors
    /// When the source does not have the whole artifact, or the target does not take it within the retries.
    pub async fn copy(&self, from: &Reference, to: &Reference, options: CopyOptions) -> Result<CopyReport, CopyError> {
        let (source, target) = (self.route(from)?, self.route(to)?);
        let no_registry = || CopyError::NoRegistry { reference: to.clone() };
        let remote = target.target().ok_or_else(no_registry)?.clone();
        let same_registry = from.registry() == to.registry() && from.repository() != to.repository();
        let mounts = same_registry.then(|| from.repository().to_owned());
        let origin = Origin::Registry(source.clone());
        let mut publisher = Publisher::new(remote, origin, mounts.into_iter().collect(), &options.progress);
        let copy = Copy { source, from, to };

        let parts = copy.parts().await?;
        let failed = |source| copy.failed(source);
        publisher.blobs(&parts).await.map_err(failed)?;
        let counts = publisher.counts;
        for part in &parts {
            let name = part.descriptor.digest.to_string();
            publisher.put(&name, part).await.map_err(failed)?;
        }
        let mut referrers = 0;
        if options.referrers {
            for part in &parts {
                referrers += copy.referrers(&mut publisher, &part.descriptor.digest).await?;
            }
        }
        let root = parts.last().ok_or_else(no_registry)?;
        if let Some(tag) = to.tag() {
            publisher.put(tag, root).await.map_err(failed)?;
        }
        Ok(CopyReport {
            descriptor: root.descriptor.clone(),
            sent: counts.sent,
            reused: counts.reused,
            mounted: counts.mounted,
            bytes: counts.bytes,
            referrers,
        })
    }

    fn route(&self, reference: &Reference) -> Result<Route, CopyError> {
        let route = Route::to(&self.http, reference).ok_or_else(|| CopyError::NoRegistry {
            reference: reference.clone(),
        })?;
        route.map_err(|source| CopyError::Source {
            reference: reference.clone(),
            source,
        })
    }
}

struct Copy<'a> {
    source: Route,
    from: &'a Reference,
    to: &'a Reference,
}

impl Copy<'_> {
    fn failed(&self, source: PushError) -> CopyError {
        CopyError::Target {
            reference: self.to.clone(),
            source: Box::new(source),
        }
    }

    /// The documents of the artifact, children before their index.
    async fn parts(&self) -> Result<Vec<Part>, CopyError> {
        let root = self.part(self.from, None).await?;
        let mut parts = Vec::new();
        if let Document::Index(index) = &root.document {
            let total = index
                .manifests
                .iter()
                .fold(0_u64, |sum, entry| sum.saturating_add(entry.size));
            if total > MAX_MANIFEST_BYTES {
                let reference = self.from.clone();
                return Err(CopyError::TooLarge { reference, total });
            }
            for entry in &index.manifests {
                let part = self.part(&self.from.with_digest(entry.digest), Some(entry)).await?;
                if matches!(part.document, Document::Index(_)) {
                    return Err(self.failed(PushError::NestedIndex { entry: entry.digest }));
                }
                parts.push(part);
            }
        }
        parts.push(root);
        Ok(parts)
    }

    async fn part(&self, reference: &Reference, listed: Option<&Descriptor>) -> Result<Part, CopyError> {
        let digest = reference.digest().map(Digest::to_string);
        let name = digest.as_deref().or(reference.tag()).unwrap_or_default();
        let limit = listed.map_or(MAX_DOCUMENT_BYTES, |listed| listed.size);
        let fetched = self
            .source
            .manifest(name, limit)
            .await
            .map_err(|source| CopyError::Source {
                reference: reference.clone(),
                source,
            })?;
        let found = Digest::of(&fetched.bytes);
        let expected = reference.digest().copied().or(fetched.stated);
        if expected.is_some_and(|expected| expected != found) {
            let reference = reference.clone();
            return Err(CopyError::WrongManifest { reference, found });
        }
        let document = Document::parse(&fetched.bytes)
            .map_err(|source| self.failed(PushError::NotAManifest { digest: found, source }))?;
        let mut descriptor = Descriptor::of(document.media_type(), &fetched.bytes);
        descriptor.artifact_type = document.artifact_type().map(str::to_owned);
        Part::new(descriptor, fetched.bytes).map_err(|source| self.failed(source))
    }

    /// Copies what refers to `subject`; returns how many.
    async fn referrers(&self, publisher: &mut Publisher, subject: &Digest) -> Result<usize, CopyError> {
        let listed = self
            .source
            .referrers(subject)
            .await
            .map_err(|source| CopyError::Source {
                reference: self.from.with_digest(*subject),
                source,
            })?;
        let mut copied = Vec::new();
        for entry in listed {
            let part = self.part(&self.from.with_digest(entry.digest), Some(&entry)).await?;
            publisher.attach(&part).await.map_err(|source| self.failed(source))?;
            copied.push(entry);
        }
        if !copied.is_empty() {
            let listed = publisher.list(subject, &copied).await;
            listed.map_err(|source| self.failed(source))?;
        }
        let legacy = self.legacy(publisher, subject).await?;
        Ok(copied.len().saturating_add(legacy))
    }

    /// Copies what lies under cosign's legacy tags of `subject`.
    async fn legacy(&self, publisher: &mut Publisher, subject: &Digest) -> Result<usize, CopyError> {
        let mut copied = 0;
        for tag in legacy_tags(subject) {
            // A registry that does not say has none to copy.
            let Ok(fetched) = self.source.manifest(&tag, MAX_DOCUMENT_BYTES).await else {
                continue;
            };
            let Ok(Document::Manifest(_)) = Document::parse(&fetched.bytes) else {
                continue;
            };
            let descriptor = Descriptor::of(media_type::MANIFEST, &fetched.bytes);
            let part = Part::new(descriptor, fetched.bytes).map_err(|source| self.failed(source))?;
            let attached = publisher.attach_as(&tag, &part).await;
            attached.map_err(|source| self.failed(source))?;
            copied += 1;
        }
        Ok(copied)
    }
}
