//! What refers to a manifest at a registry: listed by the referrers API, or by the fallback tag where there is none.

use reqwest::Url;
use reqwest::header::{HeaderMap, LINK};

use super::auth::Access;
use super::body::Body;
use super::remote::Remote;
use super::retry::retrying;
use super::transport::TransportError;
use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::manifest::{Document, Index, MAX_DOCUMENT_BYTES, MAX_ENTRIES, ManifestError};
use crate::media_type;

/// Pages of a list of referrers that are followed.
const MAX_PAGES: usize = 16;
impl Remote {
    /// Everything that refers to `subject`, at most [`MAX_ENTRIES`]: what is listed behind them is not looked at.
    pub(super) async fn referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>, TransportError> {
        let mut next = Some(self.url(&format!("referrers/{subject}"))?);
        let mut found = Vec::new();
        for _ in 0..MAX_PAGES {
            let Some(url) = next.take() else { break };
            match self.referrers_page(&url).await {
                Ok((page, link)) => {
                    found.extend(page.manifests);
                    next = link.filter(|link| link.origin() == url.origin() && *link != url);
                }
                // Registries without the API answer in many ways, but not as if access were the question.
                Err(error) if found.is_empty() && matches!(error.status(), Some(400 | 404 | 405 | 501)) => {
                    found = self.referrers_tag(subject).await?.manifests;
                }
                Err(error) => return Err(error),
            }
            if found.len() > MAX_ENTRIES || (found.len() == MAX_ENTRIES && next.is_some()) {
                tracing::warn!(%subject, limit = MAX_ENTRIES, "more refers to this than is looked at");
                found.truncate(MAX_ENTRIES);
                break;
            }
        }
        Ok(found)
    }

    async fn referrers_page(&self, url: &Url) -> Result<(Index, Option<Url>), TransportError> {
        let (bytes, link) = retrying(self.retry, || async {
            let response = self
                .request(reqwest::Method::GET, Access::Pull, url, media_type::INDEX)
                .await?;
            let response = self.http.expect(url, response, &[200]).await?;
            let link = next_page(url, response.headers());
            Ok::<_, TransportError>((
                Body::new(self.endpoint.patience, url, response)
                    .read(MAX_DOCUMENT_BYTES)
                    .await?,
                link,
            ))
        })
        .await?;
        Ok((index(url, &bytes)?, link))
    }

    /// The list under the fallback tag; empty when there is none.
    async fn referrers_tag(&self, subject: &Digest) -> Result<Index, TransportError> {
        let tag = subject.referrers_tag();
        match self.manifest(&tag, MAX_DOCUMENT_BYTES).await {
            Ok(fetched) => index(&self.url(&format!("manifests/{tag}"))?, &fetched.bytes),
            Err(error) if error.status() == Some(404) => Ok(Index::new(Vec::new())),
            Err(error) => Err(error),
        }
    }
}

/// Parses a list of referrers. It may be longer than other indexes, since only its beginning is used; the cap of the body
/// bounds it.
fn index(url: &Url, bytes: &[u8]) -> Result<Index, TransportError> {
    let unusable = |reason: String| TransportError::Protocol {
        url: super::http::shown(url),
        reason,
    };
    match Document::parse(bytes) {
        Ok(Document::Index(index)) => Ok(index),
        Ok(Document::Manifest(_)) => Err(unusable("a manifest instead of a list of referrers".to_owned())),
        Err(ManifestError::TooManyEntries { .. }) => {
            serde_json::from_slice(bytes).map_err(|error| unusable(error.to_string()))
        }
        // Go writes a list without entries as null.
        Err(_) if is_empty_list(bytes) => Ok(Index::new(Vec::new())),
        Err(error) => Err(unusable(error.to_string())),
    }
}

/// Whether this is an index that says `"manifests": null`.
fn is_empty_list(bytes: &[u8]) -> bool {
    let list: Option<serde_json::Value> = serde_json::from_slice(bytes).ok();
    list.is_some_and(|list| {
        list.get("mediaType").is_some_and(|kind| kind == media_type::INDEX)
            && list.get("manifests").is_some_and(serde_json::Value::is_null)
    })
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
}
