//! Pulling: manifest, signatures, verdict, and only then anything else.

use std::fmt;
use std::sync::Arc;

use futures::{StreamExt as _, TryStreamExt as _};

use super::Registry;
use super::claim::{Claim, route};
use super::error::PullError;
use super::fetch::Fetch;
use super::link::Links;
use super::progress::{NoProgress, Progress};
use super::route::Route;
use super::signatures::Signatures;
use crate::descriptor::Descriptor;
use crate::manifest::Manifest;
use crate::reference::Reference;
use crate::store::{Store, StoreError};
use crate::verify::{Verified, VerifiedDocument, Verifier};

/// Manifests of an index fetched at a time.
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
    /// Which of the models that a module links are pulled with it.
    pub links: Links,
    /// Whether blobs are made of older ones that the store has, where the registry has a delta or a list of chunks that saves
    /// bytes. What is made counts only with the digest that the verified manifest names.
    pub updates: bool,
    /// Who watches.
    pub progress: Arc<dyn Progress>,
}

impl Default for PullOptions {
    fn default() -> Self {
        Self {
            allow_unsigned: false,
            max_bytes: None,
            links: Links::Required,
            updates: true,
            progress: Arc::new(NoProgress),
        }
    }
}

impl fmt::Debug for PullOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PullOptions")
            .field("allow_unsigned", &self.allow_unsigned)
            .field("max_bytes", &self.max_bytes)
            .field("links", &self.links)
            .field("updates", &self.updates)
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
    /// Bytes fetched for the blobs: fewer than they have where deltas and lists of chunks were used.
    pub bytes: u64,
    /// Bytes of the blobs that need not be fetched, because they were made of older ones.
    pub saved: u64,
    /// Signatures kept with the artifact.
    pub signatures: usize,
    /// The models that its modules link and that were pulled, or found, with it.
    pub linked: Vec<Verified<Descriptor>>,
    /// Names of required links that say nowhere where their model is, and that are not in the repository either.
    pub unresolved: Vec<String>,
}

impl Registry {
    /// Pulls `reference` into `store`, if `verifier` lets it in, and the models that it links.
    ///
    /// The policy decides on the manifest's digest, before config and layers are fetched. The tag is set last.
    ///
    /// # Cancel safety
    /// Dropping the future leaves no tag and no visible half-written blob; what has been fetched by then is reused.
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
        let pull = Pull::new(&self.http, store, reference, &options)?;
        let (mut fetch, signatures) = pull.verified(verifier, None).await?;
        pull.blobs(&mut fetch).await?;
        pull.follow(&self.http, verifier, &mut fetch).await?;
        let kept = signatures.len();
        pull.record(&fetch.root, std::mem::take(&mut fetch.documents), signatures)
            .await?;
        Ok(PullReport {
            descriptor: fetch.root,
            fetched: fetch.fetched,
            reused: fetch.reused,
            bytes: fetch.bytes,
            saved: fetch.saved,
            signatures: kept,
            linked: fetch.linked,
            unresolved: fetch.unresolved,
        })
    }
}

/// One artifact on its way.
pub(super) struct Pull<'a> {
    pub(super) route: Route,
    store: &'a Store,
    reference: &'a Reference,
    pub(super) options: &'a PullOptions,
}

impl<'a> Pull<'a> {
    pub(super) fn new(
        http: &super::http::Http,
        store: &'a Store,
        reference: &'a Reference,
        options: &'a PullOptions,
    ) -> Result<Self, PullError> {
        Ok(Self {
            route: route(http, reference)?,
            store,
            reference,
            options,
        })
    }

    /// Manifests and signatures, after the verdict. `cover` stands in for a verdict of the artifact's own.
    pub(super) async fn verified(
        &self,
        verifier: &Verifier,
        cover: Option<&Verified<Manifest>>,
    ) -> Result<(Fetch, Signatures), PullError> {
        let Claim {
            descriptor: claimed,
            bytes,
        } = self.route.claim(self.reference).await?;
        let signatures = self.signatures(&claimed).await?;
        let signatures = signatures
            .with_manifest(bytes.clone())
            .with_history(self.store.trust_history());
        let root = match (self.verdict(verifier, &signatures, &claimed), cover) {
            (Ok(root), _) => root,
            (Err(refusal), None) => return Err(refusal),
            (Err(refusal), Some(cover)) => cover.linked(claimed).ok_or(refusal)?,
        };
        let mut documents = Vec::new();
        let manifests = self.manifests(&root, bytes, &mut documents).await?;
        Ok((Fetch::new(root, manifests, documents), signatures))
    }

    pub(super) fn store(&self) -> &Store {
        self.store
    }

    pub(super) fn reference(&self) -> &Reference {
        self.reference
    }

    /// What claims to sign the artifact. Not being able to tell is an error, unless none are asked for.
    async fn signatures(&self, claimed: &Descriptor) -> Result<Signatures, PullError> {
        match self.route.signatures(&claimed.digest).await {
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
            .route
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

    /// Stores documents and signatures, and the tag last of all.
    pub(super) async fn record(
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

    pub(super) fn check_total(&self, total: u64, limit: u64) -> Result<(), PullError> {
        let within = total <= limit;
        within.then_some(()).ok_or_else(|| PullError::TooLarge {
            reference: self.reference.clone(),
            total,
            limit,
        })
    }
}
