//! What the registry offers: the referrers that say they are updates of a missing blob, a bounded number of them, with
//! manifests of bounded size.

use futures::StreamExt as _;

use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::manifest::Document;
use crate::media_type;
use crate::registry::fetch::Fetch;
use crate::registry::pull::Pull;
use crate::update::{Listed, Shortcut};

/// Manifests of referrers that are fetched for one manifest: several layers, each with deltas against a few versions.
const MAX_OFFERS: usize = 64;
/// Largest manifest of an update, in bytes: it has one layer and two annotations.
const MAX_OFFER_BYTES: u64 = 64 << 10;
/// Manifests fetched at a time.
const PARALLEL: usize = 4;

/// An update as its manifest describes it.
#[derive(Debug)]
pub(super) struct Offer {
    pub(super) shortcut: Shortcut,
    pub(super) layer: Descriptor,
}

impl Pull<'_> {
    /// The updates that refer to the manifests of `wanted`. A registry that does not say has none.
    pub(super) async fn offers(&self, fetch: &Fetch, wanted: &[&Descriptor]) -> Vec<Offer> {
        let mut offers = Vec::new();
        for ((document, _), manifest) in fetch.documents.iter().zip(&fetch.manifests) {
            let is_wanted = |digest: &Digest| wanted.iter().any(|blob| blob.digest == *digest);
            if !manifest.layers.iter().any(|layer| is_wanted(&layer.digest)) {
                continue;
            }
            let listed = match self.route.referrers(&document.digest).await {
                Ok(listed) => listed,
                Err(error) => {
                    tracing::debug!(subject = %document.digest, %error, "cannot ask for updates");
                    continue;
                }
            };
            let may_help = |entry: &Descriptor| match Shortcut::listed(entry) {
                Listed::Told(Shortcut::Delta { base, target }) => is_wanted(&target) && self.store().contains(&base),
                Listed::Told(Shortcut::Chunks { target }) => is_wanted(&target),
                Listed::Unknown => true,
                Listed::Other => false,
            };
            let candidates = listed.into_iter().filter(may_help).take(MAX_OFFERS);
            let subject = document.digest;
            let found = futures::stream::iter(candidates)
                .map(|entry| async move { self.offer(&subject, &entry).await })
                .buffer_unordered(PARALLEL);
            offers.extend(found.filter_map(|offer| async { offer }).collect::<Vec<_>>().await);
        }
        offers
    }

    /// One listed referrer; `None` when it is not what it should be.
    async fn offer(&self, subject: &Digest, listed: &Descriptor) -> Option<Offer> {
        let fetched = self.route.manifest(&listed.digest.to_string(), MAX_OFFER_BYTES).await;
        let fetched = fetched
            .inspect_err(|error| tracing::debug!(referrer = %listed.digest, %error, "cannot look at an update"))
            .ok()?;
        if Digest::of(&fetched.bytes) != listed.digest {
            return None;
        }
        let Ok(Document::Manifest(manifest)) = Document::parse_as(media_type::MANIFEST, &fetched.bytes) else {
            return None;
        };
        manifest.subject.as_ref().filter(|named| named.digest == *subject)?;
        let (shortcut, layer) = Shortcut::read(&manifest)?;
        let layer = layer.clone();
        Some(Offer { shortcut, layer })
    }
}
