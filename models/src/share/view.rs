//! What may be served: [`View`], made of the store's tags and the verdicts on them.

use std::collections::BTreeMap;

use crate::annotation;
use crate::artifact::ModelLink;
use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::manifest::{Document, Manifest};
use crate::reference::Reference;
use crate::store::{Store, StoreError};
use crate::verify::{Verified, VerifiedDocument, Verifier, legacy_tag};

/// A repository, and the registry that it is of; none for names that are local to the store.
type Name = (Option<String>, String);

/// What is served, for people.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shared {
    /// The tags, as references.
    pub tags: Vec<String>,
    /// Tags that are not served, with the reason.
    pub withheld: Vec<(String, String)>,
}

/// What is served.
#[derive(Debug, Default)]
pub(super) struct View {
    repositories: BTreeMap<Name, Repository>,
    withheld: Vec<(String, String)>,
}

/// One repository. Every manifest and blob in it is of an artifact that the policy admits, or refers to one.
#[derive(Debug, Clone, Default)]
pub(super) struct Repository {
    pub(super) tags: BTreeMap<String, Descriptor>,
    /// Tags of cosign's old form, which are not listed.
    pub(super) legacy: BTreeMap<String, Descriptor>,
    pub(super) manifests: BTreeMap<Digest, Descriptor>,
    /// Sizes of blobs.
    pub(super) blobs: BTreeMap<Digest, u64>,
    pub(super) referrers: BTreeMap<Digest, Vec<Descriptor>>,
}

/// Why an artifact is not served.
#[derive(Debug, thiserror::Error)]
enum Withheld {
    #[error("a part of it is missing: {0}")]
    Incomplete(Digest),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Pin(#[from] crate::verify::PinError),
    #[error("it contains an index inside an index")]
    Nested,
}

impl View {
    /// Asks for the verdict on every tag of `store`.
    pub(super) fn of(store: &Store, verifier: &Verifier) -> Result<Self, StoreError> {
        let mut view = Self::default();
        for entry in store.list()? {
            // Names of layouts that others made are not references; nobody could ask for them.
            let Some(reference) = entry.reference() else { continue };
            let shown = reference.to_string();
            let verified = match verifier.verify(store, &reference, &entry.descriptor) {
                Ok(verified) => verified,
                Err(refusal) => {
                    view.withheld.push((shown, refusal.to_string()));
                    continue;
                }
            };
            if let Err(reason) = view.add(store, &reference, &verified) {
                view.withheld.push((shown, reason.to_string()));
            }
        }
        Ok(view)
    }

    fn add(&mut self, store: &Store, reference: &Reference, root: &Verified<Descriptor>) -> Result<(), Withheld> {
        let name = (
            reference.registry().map(str::to_owned),
            reference.repository().to_owned(),
        );
        let mut part = Part::new(store);
        part.artifact(root)?;
        let links = std::mem::take(&mut part.links);
        if let Some(tag) = reference.tag() {
            part.found.tags.insert(tag.to_owned(), (**root).clone());
        }
        for (link, model) in links {
            // A pull asks for a model under its own name, else under the module's. One that is not here is not served.
            let mut linked = Part::new(store);
            if linked.artifact(&model).is_err() {
                continue;
            }
            let home = link.reference.as_ref().and_then(|text| text.parse::<Reference>().ok());
            let home = home.filter(|home| home.registry().is_some());
            let home = home.map(|home| (home.registry().map(str::to_owned), home.repository().to_owned()));
            self.merge(home.unwrap_or_else(|| name.clone()), linked.found);
        }
        self.merge(name, part.found);
        Ok(())
    }

    fn merge(&mut self, name: Name, found: Repository) {
        let known = self.repositories.entry(name).or_default();
        known.tags.extend(found.tags);
        known.legacy.extend(found.legacy);
        known.manifests.extend(found.manifests);
        known.blobs.extend(found.blobs);
        known.referrers.extend(found.referrers);
    }

    /// The repositories that `name` may mean: of the registry `ns` if that is given, else of all; a name may also begin with its
    /// registry. Those local to the store come first.
    pub(super) fn repositories(&self, name: &str, ns: Option<&str>) -> Vec<&Repository> {
        let named = self.repositories.iter().filter(|((registry, repository), _)| {
            let is_of = match (ns, registry) {
                (Some(ns), Some(registry)) => ns == registry,
                (Some(_), None) => false,
                (None, _) => true,
            };
            let is_whole = registry.as_ref().is_some_and(|registry| {
                name.strip_prefix(registry.as_str())
                    .and_then(|rest| rest.strip_prefix('/'))
                    == Some(repository)
            });
            is_of && (name == repository || is_whole)
        });
        named.map(|(_, repository)| repository).collect()
    }

    pub(super) fn shared(&self) -> Shared {
        let tags = self.repositories.iter().flat_map(|((registry, repository), found)| {
            let name = match registry {
                Some(registry) => format!("{registry}/{repository}"),
                None => repository.clone(),
            };
            found
                .tags
                .keys()
                .map(move |tag| format!("{name}:{tag}"))
                .collect::<Vec<_>>()
        });
        Shared {
            tags: tags.collect(),
            withheld: self.withheld.clone(),
        }
    }
}

/// One artifact on its way into the view.
struct Part<'a> {
    store: &'a Store,
    found: Repository,
    links: Vec<(ModelLink, Verified<Descriptor>)>,
}

impl<'a> Part<'a> {
    fn new(store: &'a Store) -> Self {
        Self {
            store,
            found: Repository::default(),
            links: Vec::new(),
        }
    }

    /// Takes the artifact with all its parts, if all of them are here.
    fn artifact(&mut self, root: &Verified<Descriptor>) -> Result<(), Withheld> {
        match self.document(root)? {
            VerifiedDocument::Manifest(manifest) => self.manifest(root, &manifest),
            VerifiedDocument::Index(index) => {
                for entry in index.manifest_blobs() {
                    match self.document(&entry)? {
                        VerifiedDocument::Manifest(manifest) => self.manifest(&entry, &manifest)?,
                        VerifiedDocument::Index(_) => return Err(Withheld::Nested),
                    }
                }
                self.listed(root);
                Ok(())
            }
        }
    }

    fn document(&self, descriptor: &Verified<Descriptor>) -> Result<VerifiedDocument, Withheld> {
        let bytes = self.store.read_document(descriptor)?;
        Ok(descriptor.document(&bytes)?)
    }

    fn manifest(&mut self, descriptor: &Descriptor, manifest: &Verified<Manifest>) -> Result<(), Withheld> {
        self.blobs(manifest)?;
        // A list that makes no sense links nothing; running the module says so.
        for link in ModelLink::list(manifest).unwrap_or_default() {
            if let Ok(model) = self.store.describe(&link.digest)
                && let Some(model) = manifest.linked(model)
            {
                self.links.push((link, model));
            }
        }
        self.listed(descriptor);
        Ok(())
    }

    fn blobs(&mut self, manifest: &Manifest) -> Result<(), Withheld> {
        let blobs = || manifest.layers.iter().chain([&manifest.config]);
        let missing = blobs().find(|blob| self.store.blob_size(&blob.digest) != Some(blob.size));
        if let Some(missing) = missing {
            return Err(Withheld::Incomplete(missing.digest));
        }
        self.found.blobs.extend(blobs().map(|blob| (blob.digest, blob.size)));
        Ok(())
    }

    /// Takes the manifest or index, and what refers to it as far as that is whole.
    fn listed(&mut self, descriptor: &Descriptor) {
        let subject = descriptor.digest;
        self.found.manifests.insert(subject, plain(descriptor));
        let mut listed = Vec::new();
        for mut referrer in self.store.referrers(&subject).unwrap_or_default() {
            let bytes = self.store.read_document(&referrer).ok();
            let Some(Ok(Document::Manifest(manifest))) = bytes.map(|bytes| Document::parse(&bytes)) else {
                continue;
            };
            if self.blobs(&manifest).is_err() {
                continue;
            }
            self.found.manifests.insert(referrer.digest, plain(&referrer));
            match legacy_tag(&subject, &referrer) {
                Some(tag) => {
                    self.found.legacy.insert(tag.to_owned(), plain(&referrer));
                }
                None => {
                    referrer.annotations.remove(annotation::LEGACY_TAG);
                    listed.push(referrer);
                }
            }
        }
        if !listed.is_empty() {
            self.found.referrers.insert(subject, listed);
        }
    }
}

/// What is needed to read a manifest again.
fn plain(descriptor: &Descriptor) -> Descriptor {
    Descriptor::new(&descriptor.media_type, descriptor.digest, descriptor.size)
}
