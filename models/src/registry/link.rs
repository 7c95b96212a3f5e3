//! The models that a module links: pulled with it by their pinned digests.
//!
//! A model is let in by its own signatures if the policy accepts them, else by the module's verdict, which covers the
//! digests that its signed manifest pins.

use super::error::PullError;
use super::fetch::Fetch;
use super::http::Http;
use super::pull::Pull;
use crate::artifact::ModelLink;
use crate::manifest::Manifest;
use crate::reference::Reference;
use crate::verify::{Verified, Verifier};

/// Which linked models are pulled with a module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Links {
    /// None.
    None,
    /// Those that the module cannot do without.
    #[default]
    Required,
    /// Also the optional ones.
    All,
}

impl Links {
    fn wants(self, link: &ModelLink) -> bool {
        match self {
            Self::None => false,
            Self::Required => !link.optional,
            Self::All => true,
        }
    }
}

impl Pull<'_> {
    /// Pulls the models that the fetched manifests link and that are not fetched yet.
    pub(super) async fn follow(&self, http: &Http, verifier: &Verifier, fetch: &mut Fetch) -> Result<(), PullError> {
        let mut wanted = Vec::new();
        for manifest in &fetch.manifests {
            let links = ModelLink::list(manifest).map_err(|source| PullError::Links {
                reference: self.reference().clone(),
                source: Box::new(source),
            })?;
            for link in links.into_iter().filter(|link| self.options.links.wants(link)) {
                let is_known = fetch.documents.iter().any(|(known, _)| known.digest == link.digest)
                    || wanted
                        .iter()
                        .any(|(_, known): &(_, ModelLink)| known.digest == link.digest);
                if !is_known {
                    wanted.push((manifest.clone(), link));
                }
            }
        }
        for (manifest, link) in wanted {
            match Box::pin(self.link(http, verifier, fetch, &manifest, &link)).await {
                Ok(()) => {}
                // Nothing says where this model is; it was worth a try.
                Err(PullError::Manifest { source, .. }) if link.reference.is_none() && source.status() == Some(404) => {
                    fetch.unresolved.push(link.name);
                }
                Err(source) => {
                    return Err(PullError::Link {
                        name: link.name,
                        digest: link.digest,
                        source: Box::new(source),
                    });
                }
            }
        }
        Ok(())
    }

    async fn link(
        &self,
        http: &Http,
        verifier: &Verifier,
        fetch: &mut Fetch,
        module: &Verified<Manifest>,
        link: &ModelLink,
    ) -> Result<(), PullError> {
        let stated = link.reference.as_ref().and_then(|text| text.parse::<Reference>().ok());
        let home = stated.filter(|stated| stated.registry().is_some());
        let reference = home.as_ref().unwrap_or(self.reference()).with_digest(link.digest);
        let pull = Pull::new(http, self.store(), &reference, self.options)?;
        let (mut model, signatures) = pull.verified(verifier, Some(module)).await?;
        pull.blobs(&mut model).await?;
        pull.record(&model.root, model.documents, signatures).await?;
        fetch.fetched = fetch.fetched.saturating_add(model.fetched);
        fetch.reused = fetch.reused.saturating_add(model.reused);
        fetch.bytes = fetch.bytes.saturating_add(model.bytes);
        fetch.saved = fetch.saved.saturating_add(model.saved);
        fetch.leases.append(&mut model.leases);
        fetch.linked.push(model.root);
        Ok(())
    }
}
