//! Signatures and attestations at a registry, fetched into memory, where the policy looks at them before anything else of
//! the artifact is fetched: bundles among the referrers, and what lies under cosign's legacy tags.

use std::sync::atomic::{AtomicU64, Ordering};

use futures::StreamExt as _;

use super::remote::Remote;
use super::transport::TransportError;
use crate::annotation;
use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::manifest::{Document, Manifest};
use crate::media_type;
use crate::store::{Store, StoreError};
use crate::verify::{
    COSIGN_SIGN, Candidate, MAX_BUNDLE_BYTES, MAX_SIGNATURE_BYTES, MAX_SIGNATURES, SignatureSource, SourceError,
    TrustHistory, legacy_tags, signature_form, signature_layers,
};

/// Largest manifest of a signature, in bytes. Legacy ones hold certificates and log entries in their annotations.
const MAX_SIGNATURE_MANIFEST_BYTES: u64 = 256 << 10;
/// Signatures fetched at a time.
const PARALLEL: usize = 4;

/// What a registry had for one subject.
#[derive(Debug, Default)]
pub(super) struct Signatures {
    subject: Option<Digest>,
    whole: Vec<Carrier>,
    candidates: Vec<Candidate>,
    manifest: Option<Vec<u8>>,
    history: Option<TrustHistory>,
}

/// A manifest with signatures, fetched whole.
#[derive(Debug)]
struct Carrier {
    manifest: Descriptor,
    manifest_bytes: Vec<u8>,
    blobs: Vec<(Descriptor, Vec<u8>)>,
}

/// A carrier and the candidates in it.
type Found = (Carrier, Vec<Candidate>);

impl Signatures {
    /// Those that were fetched whole.
    pub(super) fn len(&self) -> usize {
        self.whole.len()
    }

    /// The same, with the manifest that they are about.
    pub(super) fn with_manifest(self, bytes: Vec<u8>) -> Self {
        Self {
            manifest: Some(bytes),
            ..self
        }
    }

    /// The same, with the memory of the store that they are fetched for.
    pub(super) fn with_history(self, history: TrustHistory) -> Self {
        Self {
            history: Some(history),
            ..self
        }
    }

    /// Keeps them, so that the artifact verifies without the registry. Blocks.
    pub(super) fn store(&self, store: &Store) -> Result<(), StoreError> {
        let Some(subject) = &self.subject else { return Ok(()) };
        for carrier in &self.whole {
            for (blob, bytes) in &carrier.blobs {
                store.put_bytes(&blob.media_type, bytes)?;
            }
            store.put_bytes(&carrier.manifest.media_type, &carrier.manifest_bytes)?;
            store.add_referrer(subject, &carrier.manifest)?;
        }
        Ok(())
    }

    fn add(&mut self, origin: Digest, outcome: Result<Option<Found>, String>) {
        match outcome {
            Ok(Some((carrier, candidates))) => {
                self.whole.push(carrier);
                self.candidates.extend(candidates);
            }
            Ok(None) => {}
            Err(reason) => self.candidates.push(Candidate::unreadable(origin, reason)),
        }
    }
}

impl SignatureSource for Signatures {
    fn candidates(&self, _: &Digest) -> Result<Vec<Candidate>, SourceError> {
        Ok(self.candidates.clone())
    }

    fn manifest(&self, _: &Digest) -> Option<Vec<u8>> {
        self.manifest.clone()
    }

    fn history(&self) -> Option<TrustHistory> {
        self.history.clone()
    }
}

impl Remote {
    /// What claims to sign `subject`, or to say something about it.
    pub(super) async fn signatures(&self, subject: &Digest) -> Result<Signatures, TransportError> {
        let left = AtomicU64::new(MAX_SIGNATURE_BYTES);
        let tags = legacy_tags(subject);
        let [sig, att] = &tags;
        let (listed, sig, att) = futures::join!(
            self.referrers(subject),
            self.legacy(subject, sig, &left),
            self.legacy(subject, att, &left)
        );
        let mut listed: Vec<_> = listed?.into_iter().filter(may_be_signature).collect();
        // Whoever floods the list with attestations must not crowd out the signatures.
        listed.sort_by_key(is_attestation);
        listed.truncate(MAX_SIGNATURES);
        let left = &left;
        let fetched: Vec<_> = futures::stream::iter(listed)
            .map(|listed| async move { (listed.digest, self.bundle(subject, &listed, left).await) })
            .buffered(PARALLEL)
            .collect()
            .await;
        let mut signatures = Signatures {
            subject: Some(*subject),
            ..Signatures::default()
        };
        for (origin, outcome) in fetched {
            signatures.add(origin, outcome);
        }
        for outcome in [sig, att] {
            signatures.add(*subject, outcome);
        }
        signatures.candidates.truncate(MAX_SIGNATURES);
        Ok(signatures)
    }

    /// One listed referrer; `None` when it is something else, and why it is unusable as text.
    async fn bundle(&self, subject: &Digest, listed: &Descriptor, left: &AtomicU64) -> Result<Option<Found>, String> {
        let name = listed.digest.to_string();
        let fetched = self.manifest(&name, MAX_SIGNATURE_MANIFEST_BYTES).await.map_err(text)?;
        if Digest::of(&fetched.bytes) != listed.digest {
            return Err("the registry's manifest has another digest".to_owned());
        }
        let Ok(Document::Manifest(manifest)) = Document::parse_as(media_type::MANIFEST, &fetched.bytes) else {
            return Ok(None);
        };
        // Registries may keep the list of another artifact under this name; the statement is checked later in any case.
        if manifest.subject.as_ref().is_none_or(|named| named.digest != *subject) {
            return Err("its manifest refers to another artifact".to_owned());
        }
        let mut descriptor = Descriptor::of(media_type::MANIFEST, &fetched.bytes);
        descriptor.artifact_type = Some(manifest.kind().to_owned());
        descriptor.annotations = manifest.annotations.clone();
        self.carrier(descriptor, fetched.bytes, &manifest, left).await
    }

    /// What lies under a legacy tag. That there is nothing, or that the registry does not say, can only deny.
    async fn legacy(&self, subject: &Digest, tag: &str, left: &AtomicU64) -> Result<Option<Found>, String> {
        let fetched = match self.manifest(tag, MAX_SIGNATURE_MANIFEST_BYTES).await {
            Ok(fetched) => fetched,
            Err(error) if error.status().is_some() => return Ok(None),
            Err(error) => {
                tracing::debug!(%subject, tag, %error, "cannot ask for legacy signatures");
                return Ok(None);
            }
        };
        let Ok(Document::Manifest(manifest)) = Document::parse(&fetched.bytes) else {
            return Ok(None);
        };
        let mut descriptor = Descriptor::of(media_type::MANIFEST, &fetched.bytes);
        descriptor.artifact_type = Some(manifest.kind().to_owned());
        let descriptor = descriptor.annotated(annotation::LEGACY_TAG, tag);
        self.carrier(descriptor, fetched.bytes, &manifest, left).await
    }

    /// Config and layers of a manifest that carries signatures; `None` when it carries none.
    async fn carrier(
        &self,
        descriptor: Descriptor,
        manifest_bytes: Vec<u8>,
        manifest: &Manifest,
        left: &AtomicU64,
    ) -> Result<Option<Found>, String> {
        let signed: Vec<Digest> = signature_layers(manifest).map(|layer| layer.digest).collect();
        if signed.is_empty() {
            return Ok(None);
        }
        if manifest.layers.len() > MAX_SIGNATURES {
            return Err(format!(
                "it has {} layers, more than are looked at",
                manifest.layers.len()
            ));
        }
        let mut blobs = Vec::new();
        let mut candidates = Vec::new();
        for blob in manifest.layers.iter().chain([&manifest.config]) {
            let spend = |left: u64| left.checked_sub(blob.size);
            if left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, spend).is_err() {
                return Err("there are more bytes of signatures than are looked at".to_owned());
            }
            let bytes = self.small_blob(blob, MAX_BUNDLE_BYTES).await.map_err(text)?;
            if signed.contains(&blob.digest) {
                candidates.push(Candidate {
                    origin: descriptor.digest,
                    signature: signature_form(blob, bytes.clone()),
                });
            }
            blobs.push((blob.clone(), bytes));
        }
        let carrier = Carrier {
            manifest: descriptor,
            manifest_bytes,
            blobs,
        };
        Ok(Some((carrier, candidates)))
    }
}

#[allow(clippy::needless_pass_by_value, reason = "for map_err")]
fn text(error: TransportError) -> String {
    error.to_string()
}

/// Whether a listed referrer is worth fetching. Some registries list the config's type instead of the artifact's, so only
/// what certainly is something else is left out.
fn may_be_signature(listed: &Descriptor) -> bool {
    let kind = listed.artifact_type.as_deref().unwrap_or_default();
    kind.is_empty() || kind == media_type::EMPTY || media_type::is_sigstore_bundle(kind)
}

fn is_attestation(listed: &Descriptor) -> bool {
    let predicate = listed.annotations.get(annotation::BUNDLE_PREDICATE_TYPE);
    predicate.is_some_and(|predicate| predicate != COSIGN_SIGN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_be_a_bundle_is_fetched_signatures_first() {
        let listed = |kind: &str, predicate: Option<&str>| {
            let mut listed = Descriptor::of(media_type::MANIFEST, b"");
            listed.artifact_type = Some(kind.to_owned());
            match predicate {
                Some(predicate) => listed.annotated(annotation::BUNDLE_PREDICATE_TYPE, predicate),
                None => listed,
            }
        };
        let signature = listed(media_type::SIGSTORE_BUNDLE, Some(COSIGN_SIGN));
        let attestation = listed(media_type::SIGSTORE_BUNDLE, Some("https://slsa.dev/provenance/v1"));
        assert!(may_be_signature(&signature) && !is_attestation(&signature));
        assert!(may_be_signature(&attestation) && is_attestation(&attestation));
        assert!(may_be_signature(&listed(media_type::SIGSTORE_BUNDLE_OLD, None)));
        assert!(may_be_signature(&listed(media_type::EMPTY, None)));
        assert!(!may_be_signature(&listed("application/spdx+json", None)));
    }
}
