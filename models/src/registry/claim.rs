//! What a registry claims about a name: the manifest, and what is said to sign it. Both are held in memory, for a verdict
//! before anything else is fetched.

use super::Registry;
use super::error::PullError;
use super::route::Route;
use super::signatures::Signatures;
use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::manifest::{Document, MAX_DOCUMENT_BYTES};
use crate::reference::Reference;
use crate::verify::{Explanation, Verified, Verifier};

/// The manifest under a name, as far as the registry is to be believed.
pub(super) struct Claim {
    pub(super) descriptor: Descriptor,
    pub(super) bytes: Vec<u8>,
}

impl Registry {
    /// Whether `verifier` lets in what `reference` names. Only the manifest and its signatures are fetched, and nothing is
    /// written. With `digest`, the registry must have that manifest under the name, whatever its tag says.
    ///
    /// # Errors
    /// When the registry does not have the artifact, tells untruths about it, or cannot be reached within the retries;
    /// when the policy refuses it.
    pub async fn verify(
        &self,
        reference: &Reference,
        digest: Option<Digest>,
        verifier: &Verifier,
    ) -> Result<Verified<Descriptor>, PullError> {
        let (claimed, signatures) = self.claim(reference, digest).await?;
        let verdict = verifier.verify(&signatures, reference, &claimed);
        verdict.map_err(|source| PullError::Refused {
            reference: reference.clone(),
            source,
        })
    }

    /// Why [`verify`](Self::verify) decides as it does.
    ///
    /// # Errors
    /// When manifest or signatures cannot be had; a refusal is an explanation like any other.
    pub async fn explain(
        &self,
        reference: &Reference,
        digest: Option<Digest>,
        verifier: &Verifier,
    ) -> Result<Explanation, PullError> {
        let (claimed, signatures) = self.claim(reference, digest).await?;
        Ok(verifier.explain(&signatures, reference, &claimed))
    }

    async fn claim(
        &self,
        reference: &Reference,
        digest: Option<Digest>,
    ) -> Result<(Descriptor, Signatures), PullError> {
        let route = route(&self.http, reference)?;
        let asked = digest.map_or_else(|| reference.clone(), |digest| reference.with_digest(digest));
        let claim = route.claim(&asked).await?;
        let signatures = route.signatures(&claim.descriptor.digest).await;
        let signatures = signatures.map_err(|source| PullError::Signatures {
            reference: reference.clone(),
            source,
        })?;
        Ok((claim.descriptor, signatures.with_manifest(claim.bytes)))
    }
}

/// The way to the repository of `reference`.
pub(super) fn route(http: &super::http::Http, reference: &Reference) -> Result<Route, PullError> {
    let route = Route::to(http, reference).ok_or_else(|| PullError::NoRegistry {
        reference: reference.clone(),
    })?;
    route.map_err(|source| PullError::Manifest {
        reference: reference.clone(),
        source,
    })
}

impl Route {
    /// The manifest that `reference` names: what it claims to be, and its bytes.
    pub(super) async fn claim(&self, named: &Reference) -> Result<Claim, PullError> {
        let reference = || named.clone();
        let name = match (named.digest(), named.tag()) {
            (Some(digest), _) => digest.to_string(),
            (None, tag) => tag.unwrap_or_default().to_owned(),
        };
        let fetched = self
            .manifest(&name, MAX_DOCUMENT_BYTES)
            .await
            .map_err(|source| PullError::Manifest {
                reference: reference(),
                source,
            })?;
        let found = Digest::of(&fetched.bytes);
        for expected in [named.digest().copied(), fetched.stated].into_iter().flatten() {
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
        Ok(Claim {
            descriptor,
            bytes: fetched.bytes,
        })
    }
}
