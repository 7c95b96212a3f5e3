//! Pulling: manifest, signatures, verdict, and only then anything else.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use futures::{StreamExt as _, TryStreamExt as _};

use super::Registry;
use super::download::DownloadError;
use super::error::PullError;
use super::progress::{NoProgress, Progress};
use super::referrers::Signatures;
use super::remote::Remote;
use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::manifest::{Document, MAX_DOCUMENT_BYTES, Manifest};
use crate::reference::Reference;
use crate::store::{Store, StoreError};
use crate::verify::{Verified, VerifiedDocument, Verifier};

/// Blobs fetched at a time.
const PARALLEL: usize = 4;
/// Most bytes of all manifests of an index together: they are held in memory.
const MAX_MANIFEST_BYTES: u64 = 64 << 20;

/// How to pull.
#[derive(Clone)]
pub struct PullOptions {
    /// Whether an artifact that the policy refuses may be taken unsigned, if the policy lets users ask for that.
    pub allow_unsigned: bool,
    /// Most bytes of all blobs together; `None` for no limit.
    pub max_bytes: Option<u64>,
    /// Who watches.
    pub progress: Arc<dyn Progress>,
}

impl Default for PullOptions {
    fn default() -> Self {
        Self {
            allow_unsigned: false,
            max_bytes: None,
            progress: Arc::new(NoProgress),
        }
    }
}

impl fmt::Debug for PullOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PullOptions")
            .field("allow_unsigned", &self.allow_unsigned)
            .field("max_bytes", &self.max_bytes)
            .finish_non_exhaustive()
    }
}

/// What a pull did.
#[derive(Debug, Clone)]
pub struct PullReport {
    /// The artifact, with the verdict that let it in.
    pub descriptor: Verified<Descriptor>,
    /// Blobs fetched.
    pub fetched: usize,
    /// Blobs that the store already had.
    pub reused: usize,
    /// Bytes of the blobs fetched.
    pub bytes: u64,
    /// Signatures kept with the artifact.
    pub signatures: usize,
}

impl Registry {
    /// Pulls `reference` into `store`, if `verifier` lets it in.
    ///
    /// The policy decides on the manifest's digest, before config and layers are fetched. The tag is set last.
    ///
    /// # Cancel safety
    /// Dropping the future leaves no tag and no half-written blob; blobs that were whole by then stay and are reused.
    ///
    /// # Errors
    /// When the registry does not have the artifact, tells untruths about it, or cannot be reached within the retries;
    /// when the policy refuses it; when the store cannot take it.
    pub async fn pull(
        &self,
        store: &Store,
        reference: &Reference,
        verifier: &Verifier,
        options: PullOptions,
    ) -> Result<PullReport, PullError> {
        let remote = Remote::of(&self.http, reference)
            .ok_or_else(|| PullError::NoRegistry {
                reference: reference.clone(),
            })?
            .map_err(|source| PullError::Manifest {
                reference: reference.clone(),
                source,
            })?;
        let pull = Pull {
            remote,
            store,
            reference,
            options,
        };
        let (claimed, bytes) = pull.root().await?;
        let signatures = pull.signatures(&claimed).await?;
        let descriptor = pull.verdict(verifier, &signatures, &claimed)?;
        let mut documents = Vec::new();
        let manifests = pull.manifests(&descriptor, bytes, &mut documents).await?;
        let (fetched, reused, bytes) = pull.blobs(&manifests).await?;
        let kept = signatures.len();
        pull.record(&descriptor, documents, signatures).await?;
        Ok(PullReport {
            descriptor,
            fetched,
            reused,
            bytes,
            signatures: kept,
        })
    }
}

struct Pull<'a> {
    remote: Remote,
    store: &'a Store,
    reference: &'a Reference,
    options: PullOptions,
}

impl Pull<'_> {
    /// The manifest that the reference names: what it claims to be, and its bytes.
    async fn root(&self) -> Result<(Descriptor, Vec<u8>), PullError> {
        let reference = || self.reference.clone();
        let name = match (self.reference.digest(), self.reference.tag()) {
            (Some(digest), _) => digest.to_string(),
            (None, tag) => tag.unwrap_or_default().to_owned(),
        };
        let fetched = self
            .remote
            .manifest(&name, MAX_DOCUMENT_BYTES)
            .await
            .map_err(|source| PullError::Manifest {
                reference: reference(),
                source,
            })?;
        let found = Digest::of(&fetched.bytes);
        for expected in [self.reference.digest().copied(), fetched.stated].into_iter().flatten() {
            if expected != found {
                return Err(PullError::WrongManifest {
                    reference: reference(),
                    expected,
                    found,
                });
            }
        }
        let document = match fetched.media_type {
            Some(media_type) => Document::parse_as(media_type, &fetched.bytes),
            None => Document::parse(&fetched.bytes),
        };
        let document = document.map_err(|source| PullError::NotAManifest {
            reference: reference(),
            source,
        })?;
        let mut descriptor = Descriptor::of(document.media_type(), &fetched.bytes);
        descriptor.artifact_type = document.artifact_type().map(str::to_owned);
        Ok((descriptor, fetched.bytes))
    }

    /// What claims to sign the artifact. Not being able to tell is an error, unless none are asked for.
    async fn signatures(&self, claimed: &Descriptor) -> Result<Signatures, PullError> {
        match self.remote.signatures(&claimed.digest).await {
            Ok(signatures) => Ok(signatures),
            Err(error) if self.options.allow_unsigned => {
                tracing::warn!(reference = %self.reference, %error, "cannot fetch the signatures");
                Ok(Signatures::default())
            }
            Err(source) => Err(PullError::Signatures {
                reference: self.reference.clone(),
                source,
            }),
        }
    }

    fn verdict(
        &self,
        verifier: &Verifier,
        signatures: &Signatures,
        claimed: &Descriptor,
    ) -> Result<Verified<Descriptor>, PullError> {
        let verdict = match verifier.verify(signatures, self.reference, claimed) {
            Err(refusal) if self.options.allow_unsigned => {
                tracing::debug!(%refusal, "asked to take it unsigned");
                verifier.allow_unsigned(self.reference, claimed)
            }
            verdict => verdict,
        };
        verdict.map_err(|source| PullError::Refused {
            reference: self.reference.clone(),
            source,
        })
    }

    /// The manifests of the artifact. `documents` receives all documents with their bytes, children before their index.
    async fn manifests(
        &self,
        root: &Verified<Descriptor>,
        bytes: Vec<u8>,
        documents: &mut Vec<(Descriptor, Vec<u8>)>,
    ) -> Result<Vec<Verified<Manifest>>, PullError> {
        let pin = |source| PullError::Pin {
            reference: self.reference.clone(),
            source,
        };
        let manifests = match root.document(&bytes).map_err(pin)? {
            VerifiedDocument::Manifest(manifest) => vec![manifest],
            VerifiedDocument::Index(index) => {
                let entries = index.manifest_blobs();
                let total = entries.iter().fold(0_u64, |sum, entry| sum.saturating_add(entry.size));
                self.check_total(total, MAX_MANIFEST_BYTES)?;
                let children: Vec<_> = futures::stream::iter(entries)
                    .map(|entry| async move { self.child(entry).await })
                    .buffered(PARALLEL)
                    .try_collect()
                    .await?;
                let mut manifests = Vec::new();
                for (descriptor, bytes, manifest) in children {
                    documents.push((descriptor, bytes));
                    manifests.push(manifest);
                }
                manifests
            }
        };
        documents.push(((**root).clone(), bytes));
        Ok(manifests)
    }

    async fn child(&self, entry: Verified<Descriptor>) -> Result<(Descriptor, Vec<u8>, Verified<Manifest>), PullError> {
        let reference = self.reference.with_digest(entry.digest);
        let fetched = self
            .remote
            .manifest(&entry.digest.to_string(), entry.size)
            .await
            .map_err(|source| PullError::Manifest { reference, source })?;
        let document = entry.document(&fetched.bytes).map_err(|source| PullError::Pin {
            reference: self.reference.clone(),
            source,
        })?;
        match document {
            VerifiedDocument::Manifest(manifest) => Ok(((*entry).clone(), fetched.bytes, manifest)),
            VerifiedDocument::Index(_) => Err(PullError::NestedIndex {
                reference: self.reference.clone(),
                entry: entry.digest,
            }),
        }
    }

    /// Brings config and layers of `manifests` into the store; returns blobs fetched, blobs reused, bytes fetched.
    async fn blobs(&self, manifests: &[Verified<Manifest>]) -> Result<(usize, usize, u64), PullError> {
        let mut wanted = BTreeMap::new();
        for manifest in manifests {
            for blob in manifest.layer_blobs().into_iter().chain([manifest.config_blob()]) {
                wanted.entry(blob.digest).or_insert(blob);
            }
        }
        let total = wanted.values().fold(0_u64, |sum, blob| sum.saturating_add(blob.size));
        self.check_total(total, self.options.max_bytes.unwrap_or(u64::MAX))?;
        let progress = self.options.progress.as_ref();
        let has = |blob: &Verified<Descriptor>| self.store.blob_size(&blob.digest) == Some(blob.size);
        let (present, missing): (Vec<_>, Vec<_>) = wanted.into_values().partition(has);
        for blob in &present {
            progress.end(blob, true);
        }
        let fetched = missing.len();
        let bytes = missing.iter().fold(0_u64, |sum, blob| sum.saturating_add(blob.size));
        let (alive, mut ended) = tokio::sync::mpsc::channel(1);
        let alive_ref = &alive;
        let outcome = futures::stream::iter(missing)
            .map(|blob| async move {
                let digest = blob.digest;
                let fetched = self.remote.download(self.store, &blob, progress, alive_ref).await;
                fetched.map_err(|error| match error {
                    DownloadError::Transport(source) => PullError::Blob { digest, source },
                    DownloadError::Store(source) => PullError::Keep { digest, source },
                })
            })
            .buffer_unordered(PARALLEL)
            .try_collect::<()>()
            .await;
        // The first failure drops the other transfers; their writers still have to take back what they wrote.
        drop(alive);
        while ended.recv().await.is_some() {}
        outcome?;
        Ok((fetched, present.len(), bytes))
    }

    /// Stores documents and signatures, and the tag last of all.
    async fn record(
        &self,
        root: &Verified<Descriptor>,
        documents: Vec<(Descriptor, Vec<u8>)>,
        signatures: Signatures,
    ) -> Result<(), PullError> {
        let (store, reference, root) = (self.store.clone(), self.reference.clone(), (**root).clone());
        let recorded = tokio::task::spawn_blocking(move || {
            for (descriptor, bytes) in &documents {
                store.put_bytes(&descriptor.media_type, bytes)?;
            }
            signatures.store(&store)?;
            match reference.digest() {
                // What is pinned needs no tag: the store finds it by its digest.
                Some(_) => Ok(()),
                None => store.tag(&reference, &root),
            }
        });
        let outcome = recorded
            .await
            .unwrap_or_else(|error| Err(StoreError::io("record")(std::io::Error::other(error))));
        outcome.map_err(|source| PullError::Store {
            reference: self.reference.clone(),
            source,
        })
    }

    fn check_total(&self, total: u64, limit: u64) -> Result<(), PullError> {
        let within = total <= limit;
        within.then_some(()).ok_or_else(|| PullError::TooLarge {
            reference: self.reference.clone(),
            total,
            limit,
        })
    }
}
