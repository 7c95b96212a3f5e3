//! Signatures at a registry: listed by the referrers API, or by the fallback tag where there is none, then fetched into
//! memory, where the policy looks at them before anything else of the artifact is fetched.

use futures::StreamExt as _;
use reqwest::Url;
use reqwest::header::{HeaderMap, LINK};

use super::auth::Access;
use super::http::Body;
use super::remote::Remote;
use super::retry::retrying;
use super::transport::TransportError;
use crate::annotation;
use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::manifest::{Document, Index, MAX_DOCUMENT_BYTES, MAX_ENTRIES};
use crate::media_type;
use crate::store::{Store, StoreError};
use crate::verify::{COSIGN_SIGN, Candidate, MAX_BUNDLE_BYTES, MAX_SIGNATURES, SignatureSource, SourceError};

/// Pages of a list of referrers that are followed.
const MAX_PAGES: usize = 16;
/// Largest manifest of a signature, in bytes: it has one layer and few annotations.
const MAX_SIGNATURE_MANIFEST_BYTES: u64 = 64 << 10;
/// Signatures fetched at a time.
const PARALLEL: usize = 4;

/// What a registry had for one subject.
#[derive(Debug, Default)]
pub(super) struct Signatures {
    subject: Option<Digest>,
    whole: Vec<Signature>,
    broken: Vec<Candidate>,
}

#[derive(Debug)]
struct Signature {
    manifest: Descriptor,
    manifest_bytes: Vec<u8>,
    bundle: Descriptor,
    bundle_bytes: Vec<u8>,
    config: Descriptor,
    config_bytes: Vec<u8>,
}

impl Signatures {
    /// Those that were fetched whole.
    pub(super) fn len(&self) -> usize {
        self.whole.len()
    }

    /// Keeps them, so that the artifact verifies without the registry. Blocks.
    pub(super) fn store(&self, store: &Store) -> Result<(), StoreError> {
        let Some(subject) = &self.subject else { return Ok(()) };
        for signature in &self.whole {
            store.put_bytes(&signature.config.media_type, &signature.config_bytes)?;
            store.put_bytes(&signature.bundle.media_type, &signature.bundle_bytes)?;
            store.put_bytes(&signature.manifest.media_type, &signature.manifest_bytes)?;
            store.add_referrer(subject, &signature.manifest)?;
        }
        Ok(())
    }
}

impl SignatureSource for Signatures {
    fn candidates(&self, _: &Digest) -> Result<Vec<Candidate>, SourceError> {
        let whole = self.whole.iter().map(|signature| Candidate {
            origin: signature.manifest.digest,
            bundle: Ok(signature.bundle_bytes.clone()),
        });
        Ok(whole.chain(self.broken.iter().cloned()).collect())
    }
}

impl Remote {
    /// What claims to sign `subject`.
    pub(super) async fn signatures(&self, subject: &Digest) -> Result<Signatures, TransportError> {
        let listed = self
            .referrers(subject)
            .await?
            .into_iter()
            .filter(may_be_signature)
            .take(MAX_SIGNATURES);
        let fetched: Vec<_> = futures::stream::iter(listed)
            .map(|listed| async move { (listed.digest, self.signature(subject, listed).await) })
            .buffered(PARALLEL)
            .collect()
            .await;
        let mut signatures = Signatures {
            subject: Some(*subject),
            ..Signatures::default()
        };
        for (origin, outcome) in fetched {
            match outcome {
                Ok(Some(signature)) => signatures.whole.push(signature),
                Ok(None) => {}
                Err(reason) => signatures.broken.push(Candidate {
                    origin,
                    bundle: Err(reason),
                }),
            }
        }
        Ok(signatures)
    }

    /// One signature; `None` when it is something else, and why it is unusable as text.
    async fn signature(&self, subject: &Digest, listed: Descriptor) -> Result<Option<Signature>, String> {
        let text = |error: TransportError| error.to_string();
        let name = listed.digest.to_string();
        let bytes = self
            .manifest(&name, MAX_SIGNATURE_MANIFEST_BYTES)
            .await
            .map_err(text)?
            .bytes;
        if Digest::of(&bytes) != listed.digest {
            return Err("the registry's manifest has another digest".to_owned());
        }
        let Ok(Document::Manifest(manifest)) = Document::parse_as(media_type::MANIFEST, &bytes) else {
            return Ok(None);
        };
        // Registries may keep the list of another artifact under this name; the statement is checked later in any case.
        if manifest.subject.as_ref().is_none_or(|named| named.digest != *subject) {
            return Err("its manifest refers to another artifact".to_owned());
        }
        let Some(bundle) = manifest
            .layers
            .iter()
            .find(|layer| media_type::is_sigstore_bundle(&layer.media_type))
        else {
            return Ok(None);
        };
        let bundle_bytes = self.small_blob(bundle, MAX_BUNDLE_BYTES).await.map_err(text)?;
        let config_bytes = self
            .small_blob(&manifest.config, MAX_BUNDLE_BYTES)
            .await
            .map_err(text)?;
        let mut descriptor = Descriptor::of(media_type::MANIFEST, &bytes);
        descriptor.artifact_type = Some(manifest.kind().to_owned());
        descriptor.annotations = manifest.annotations;
        Ok(Some(Signature {
            manifest: descriptor,
            manifest_bytes: bytes,
            bundle: bundle.clone(),
            bundle_bytes,
            config: manifest.config,
            config_bytes,
        }))
    }

    /// Everything that refers to `subject`, at most [`MAX_ENTRIES`].
    async fn referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>, TransportError> {
        let mut next = Some(self.url(&format!("referrers/{subject}"))?);
        let mut found = Vec::new();
        for _ in 0..MAX_PAGES {
            let Some(url) = next.take() else { break };
            match self.referrers_page(&url).await {
                Ok((page, link)) => {
                    found.extend(page.manifests);
                    next = link.filter(|link| link.origin() == url.origin());
                }
                // Registries without the API answer in many ways, but not as if access were the question.
                Err(error) if found.is_empty() && matches!(error.status(), Some(400 | 404 | 405 | 501)) => {
                    return Ok(self.referrers_tag(subject).await?.manifests);
                }
                Err(error) => return Err(error),
            }
        }
        found.truncate(MAX_ENTRIES);
        Ok(found)
    }

    async fn referrers_page(&self, url: &Url) -> Result<(Index, Option<Url>), TransportError> {
        let (bytes, link) = retrying(self.http.config().retry, || async {
            let response = self
                .request(reqwest::Method::GET, Access::Pull, url, media_type::INDEX)
                .await?;
            let response = self.http.expect(url, response, &[200]).await?;
            let link = next_page(url, response.headers());
            Ok::<_, TransportError>((
                Body::new(&self.http, url, response).read(MAX_DOCUMENT_BYTES).await?,
                link,
            ))
        })
        .await?;
        Ok((index(url, &bytes)?, link))
    }

    /// The list under the fallback tag; empty when there is none.
    pub(super) async fn referrers_tag(&self, subject: &Digest) -> Result<Index, TransportError> {
        let tag = subject.referrers_tag();
        match self.manifest(&tag, MAX_DOCUMENT_BYTES).await {
            Ok(fetched) => index(&self.url(&format!("manifests/{tag}"))?, &fetched.bytes),
            Err(error) if error.status() == Some(404) => Ok(Index::new(Vec::new())),
            Err(error) => Err(error),
        }
    }
}

fn index(url: &Url, bytes: &[u8]) -> Result<Index, TransportError> {
    let unusable = |reason: String| TransportError::Protocol {
        url: super::http::shown(url),
        reason,
    };
    match Document::parse(bytes).map_err(|error| unusable(error.to_string()))? {
        Document::Index(index) => Ok(index),
        Document::Manifest(_) => Err(unusable("a manifest instead of a list of referrers".to_owned())),
    }
}

/// Whether a listed referrer is worth fetching. Some registries list the config's type instead of the artifact's, so only
/// what certainly is something else is left out.
fn may_be_signature(listed: &Descriptor) -> bool {
    let kind = listed.artifact_type.as_deref().unwrap_or_default();
    let predicate = listed.annotations.get(annotation::BUNDLE_PREDICATE_TYPE);
    (kind.is_empty() || kind == media_type::EMPTY || media_type::is_sigstore_bundle(kind))
        && predicate.is_none_or(|predicate| predicate == COSIGN_SIGN)
}

/// The target of `Link: <...>; rel="next"` (RFC 8288, as the distribution specification uses it).
fn next_page(url: &Url, headers: &HeaderMap) -> Option<Url> {
    let link = headers.get(LINK)?.to_str().ok()?;
    let (target, parameters) = link.strip_prefix('<')?.split_once('>')?;
    parameters.contains("next").then(|| url.join(target).ok()).flatten()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use reqwest::header::HeaderValue;

    use super::*;

    #[test]
    fn pages_are_found() {
        let url = Url::parse("https://registry.example/v2/a/referrers/x").unwrap();
        let page = |link: &'static str| {
            let headers = HeaderMap::from_iter([(LINK, HeaderValue::from_static(link))]);
            next_page(&url, &headers).map(String::from)
        };
        let next = Some("https://registry.example/v2/a/referrers/x?n=2".to_owned());
        assert_eq!(page("</v2/a/referrers/x?n=2>; rel=\"next\""), next);
        assert_eq!(page("</v2/a>; rel=\"prev\""), None);
        assert_eq!(page("garbage"), None);
    }

    #[test]
    fn attestations_are_not_fetched_as_signatures() {
        let listed = |kind: &str, predicate: Option<&str>| {
            let mut listed = Descriptor::of(media_type::MANIFEST, b"");
            listed.artifact_type = Some(kind.to_owned());
            if let Some(predicate) = predicate {
                listed = listed.annotated(annotation::BUNDLE_PREDICATE_TYPE, predicate);
            }
            may_be_signature(&listed)
        };
        assert!(listed(media_type::SIGSTORE_BUNDLE, Some(COSIGN_SIGN)));
        assert!(listed(media_type::SIGSTORE_BUNDLE_OLD, None));
        assert!(listed(media_type::EMPTY, None));
        assert!(!listed(
            media_type::SIGSTORE_BUNDLE,
            Some("https://slsa.dev/provenance/v1")
        ));
        assert!(!listed("application/spdx+json", None));
    }
}
