//! What refers to a manifest: signatures and other attachments, found through the fallback tag `sha256-<hex>` that the
//! store always maintains, and in layouts of others also through the `subject` of every listed manifest.

use super::{Store, StoreError, tags};
use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::manifest::{Document, Index, MAX_ENTRIES};
use crate::media_type;
use crate::verify::{
    Candidate, MAX_BUNDLE_BYTES, MAX_SIGNATURE_BYTES, MAX_SIGNATURES, SignatureSource, SourceError, TrustHistory,
    legacy_subject, signature_form, signature_layers,
};

impl Store {
    /// The manifests that refer to `subject`, in the order they were added; at most [`MAX_ENTRIES`].
    ///
    /// # Errors
    /// When the index or a list of referrers cannot be read.
    pub fn referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>, StoreError> {
        let tag = subject.referrers_tag();
        let entries = self.read_index()?.manifests;
        let is_list = |entry: &&Descriptor| {
            let name = entry.annotations.get(crate::annotation::REF_NAME);
            name.is_some_and(|name| *name == tag || name.ends_with(&format!(":{tag}")))
        };
        let mut found = match entries.iter().find(is_list) {
            Some(list) => self.read_list(list)?.manifests,
            None => Vec::new(),
        };
        if !self.is_writable() {
            for entry in entries.into_iter().take(MAX_ENTRIES) {
                let names_subject = self
                    .document(&entry)
                    .is_ok_and(|document| document.subject().is_some_and(|named| named.digest == *subject));
                if names_subject && !found.iter().any(|known| known.digest == entry.digest) {
                    found.push(entry);
                }
            }
        }
        Ok(found)
    }

    /// Adds `referrer`, a stored manifest whose subject is `subject`, to the list of its referrers.
    ///
    /// # Errors
    /// When the store lacks the manifest, the list is full, or the store cannot be written.
    pub fn add_referrer(&self, subject: &Digest, referrer: &Descriptor) -> Result<(), StoreError> {
        if !self.contains(&referrer.digest) {
            return Err(StoreError::BlobMissing {
                digest: referrer.digest,
            });
        }
        let tag = subject.referrers_tag();
        self.try_update_index(|index| {
            let listed = index.manifests.iter().find(|entry| {
                entry
                    .annotations
                    .get(crate::annotation::REF_NAME)
                    .is_some_and(|name| *name == tag)
            });
            let mut list = match listed {
                Some(listed) => self.read_list(listed)?,
                None => Index::new(Vec::new()),
            };
            if list.manifests.iter().any(|known| known.digest == referrer.digest) {
                return Ok(());
            }
            list.manifests.push(referrer.clone());
            let bytes = serde_json::to_vec(&list).map_err(|source| StoreError::Encode {
                what: "the list of referrers",
                source,
            })?;
            Document::parse(&bytes).map_err(|source| StoreError::NotADocument {
                digest: *subject,
                source,
            })?;
            let stored = self.put_bytes(media_type::INDEX, &bytes)?;
            tags::set_entry(index, &tag, &stored);
            Ok(())
        })
    }

    fn read_list(&self, descriptor: &Descriptor) -> Result<Index, StoreError> {
        match self.document(descriptor)? {
            Document::Index(index) => Ok(index),
            // A manifest under this tag is not a list; cosign's old signatures use a different tag.
            Document::Manifest(_) => Ok(Index::new(Vec::new())),
        }
    }

    fn document(&self, descriptor: &Descriptor) -> Result<Document, StoreError> {
        let bytes = self.read_document(descriptor)?;
        Document::parse_as(&descriptor.media_type, &bytes).map_err(|source| StoreError::NotADocument {
            digest: descriptor.digest,
            source,
        })
    }

    /// The signatures that the manifest `referrer` carries. `left` is how many bytes may still be read.
    fn signatures(&self, referrer: &Descriptor, left: &mut u64) -> Result<Vec<Candidate>, StoreError> {
        let Document::Manifest(manifest) = self.document(referrer)? else {
            return Ok(Vec::new());
        };
        let mut found = Vec::new();
        for layer in signature_layers(&manifest).take(MAX_SIGNATURES) {
            let origin = referrer.digest;
            let within = left.checked_sub(layer.size).filter(|_| layer.size <= MAX_BUNDLE_BYTES);
            let Some(rest) = within else {
                let reason = "it is larger than any signature, or there are too many";
                found.push(Candidate::unreadable(origin, reason.to_owned()));
                continue;
            };
            *left = rest;
            let signature = self.read_document(layer).map_err(|error| error.to_string());
            found.push(Candidate {
                origin,
                signature: signature.and_then(|bytes| signature_form(layer, bytes)),
            });
        }
        Ok(found)
    }

    /// What layouts of others have under cosign's legacy tags; this store has it among the referrers.
    fn legacy_entries(&self, subject: &Digest) -> Result<Vec<Descriptor>, StoreError> {
        let is_legacy = |entry: &Descriptor| {
            let name = entry.annotations.get(crate::annotation::REF_NAME);
            name.and_then(|name| legacy_subject(name))
                .is_some_and(|(about, _)| about == *subject)
        };
        let entries = self.read_index()?.manifests;
        Ok(entries.into_iter().filter(is_legacy).take(MAX_SIGNATURES).collect())
    }

    /// Where this store keeps the signing times that were accepted.
    #[must_use]
    pub fn trust_history(&self) -> TrustHistory {
        TrustHistory::new(&self.root().join("trust"), self.is_writable())
    }
}

impl SignatureSource for Store {
    fn candidates(&self, subject: &Digest) -> Result<Vec<Candidate>, SourceError> {
        let failed = |source| SourceError::new(subject, source);
        let mut referrers = self.referrers(subject).map_err(failed)?;
        referrers.extend(self.legacy_entries(subject).map_err(failed)?);
        let mut candidates = Vec::new();
        let mut left = MAX_SIGNATURE_BYTES;
        for referrer in referrers {
            if candidates.len() >= MAX_SIGNATURES {
                break;
            }
            match self.signatures(&referrer, &mut left) {
                Ok(found) => candidates.extend(found),
                Err(error) => candidates.push(Candidate::unreadable(referrer.digest, error.to_string())),
            }
        }
        candidates.truncate(MAX_SIGNATURES);
        Ok(candidates)
    }

    fn manifest(&self, subject: &Digest) -> Option<Vec<u8>> {
        let described = self.describe(subject).ok()?;
        self.read_document(&described).ok()
    }

    fn history(&self) -> Option<TrustHistory> {
        Some(self.trust_history())
    }
}
