//! Answers: [`Answer`], found in a view and read from the store.

use std::collections::BTreeSet;
use std::ops::Range;

use serde_json::json;

use super::Ask;
use super::range::{Part, part};
use super::target::{Query, Target};
use super::view::{Repository, View};
use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::manifest::Index;
use crate::media_type;
use crate::store::Store;

/// What is sent back.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// Headers, `Content-Length` included, also for `HEAD`.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub content: Content,
}

/// A body.
#[derive(Debug)]
pub enum Content {
    /// No bytes.
    Empty,
    /// These bytes.
    Bytes(Vec<u8>),
    /// Part of a file, which is open and not read yet.
    File {
        /// The file.
        file: fs_err::File,
        /// Which bytes of it; within the file.
        range: Range<u64>,
    },
}

/// Answers `ask` with what `view` has.
pub(super) fn answer(store: &Store, view: &View, ask: &Ask<'_>) -> Answer {
    if !matches!(ask.method, "GET" | "HEAD") {
        return Answer::error(405, "UNSUPPORTED", "this registry is read-only").with("allow", "GET, HEAD");
    }
    let query = Query::parse(ask.query);
    let answer = match Target::parse(ask.path) {
        Some(target) => Asked {
            store,
            view,
            query: &query,
        }
        .target(&target, ask),
        None => Answer::error(404, "NOT_FOUND", "there is no such thing in a registry"),
    };
    match ask.method {
        "HEAD" => Answer {
            content: Content::Empty,
            ..answer
        },
        _ => answer,
    }
}

struct Asked<'a> {
    store: &'a Store,
    view: &'a View,
    query: &'a Query,
}

impl Asked<'_> {
    fn target(&self, target: &Target<'_>, ask: &Ask<'_>) -> Answer {
        let name = match target {
            Target::Root => return Answer::json(200, "application/json", b"{}".to_vec()),
            Target::Tag(name, _)
            | Target::Manifest(name, _)
            | Target::Blob(name, _)
            | Target::Referrers(name, _)
            | Target::Tags(name) => *name,
        };
        let found = self.view.repositories(name, self.query.ns.as_deref());
        if found.is_empty() {
            return Answer::error(404, "NAME_UNKNOWN", "this store has no such repository");
        }
        match target {
            Target::Root => Answer::json(200, "application/json", b"{}".to_vec()),
            Target::Tag(_, tag) => self.tag(&found, tag),
            Target::Manifest(_, digest) => self.manifest(&found, digest),
            Target::Blob(_, digest) => self.blob(&found, digest, ask.range),
            Target::Referrers(_, digest) => self.referrers(&found, digest),
            Target::Tags(_) => self.tags(&found, name),
        }
    }

    fn tag(&self, found: &[&Repository], tag: &str) -> Answer {
        if let Some(subject) = tag.strip_prefix("sha256-")
            && let Ok(subject) = format!("sha256:{subject}").parse::<Digest>()
            && found
                .iter()
                .any(|repository| repository.referrers.contains_key(&subject))
        {
            return self.referrers(found, &subject);
        }
        let named =
            |repository: &&&Repository| repository.tags.contains_key(tag) || repository.legacy.contains_key(tag);
        let candidates = found.iter().filter(named).filter_map(|repository| {
            let descriptor = repository.tags.get(tag).or_else(|| repository.legacy.get(tag));
            descriptor.map(|descriptor| (descriptor.digest, descriptor))
        });
        let candidates: std::collections::BTreeMap<Digest, &Descriptor> = candidates.collect();
        match candidates.values().collect::<Vec<_>>().as_slice() {
            [descriptor] => self.document(descriptor),
            [] => Answer::error(404, "MANIFEST_UNKNOWN", "this store has no such tag"),
            _ => Answer::error(
                404,
                "MANIFEST_UNKNOWN",
                "several registries have this name and tag: say which by ?ns=REGISTRY, or REGISTRY/NAME",
            ),
        }
    }

    fn manifest(&self, found: &[&Repository], digest: &Digest) -> Answer {
        match found.iter().find_map(|repository| repository.manifests.get(digest)) {
            Some(descriptor) => self.document(descriptor),
            None => Answer::error(404, "MANIFEST_UNKNOWN", "this store has no such manifest"),
        }
    }

    fn document(&self, descriptor: &Descriptor) -> Answer {
        match self.store.read_document(descriptor) {
            Ok(bytes) => Answer::json(200, &descriptor.media_type, bytes)
                .with("docker-content-digest", &descriptor.digest.to_string())
                .with("etag", &format!("\"{}\"", descriptor.digest)),
            Err(error) => {
                tracing::warn!(%error, "a manifest that was to be served cannot be read");
                Answer::error(404, "MANIFEST_UNKNOWN", "this store has no such manifest any more")
            }
        }
    }

    fn blob(&self, found: &[&Repository], digest: &Digest, range: Option<&str>) -> Answer {
        let unknown = || Answer::error(404, "BLOB_UNKNOWN", "this store has no such blob");
        let Some(size) = found
            .iter()
            .find_map(|repository| repository.blobs.get(digest).copied())
        else {
            return unknown();
        };
        let file = match self.store.open_sized(&Descriptor::new("", *digest, size)) {
            Ok((file, _)) => file,
            Err(error) => {
                tracing::warn!(%error, "a blob that was to be served cannot be read");
                return unknown();
            }
        };
        let (status, range) = match part(range, size) {
            Part::Whole => (200, 0..size),
            Part::Bytes(range) => (206, range),
            Part::Nothing => {
                let answer = Answer::error(416, "RANGE_INVALID", "the blob ends before");
                return answer.with("content-range", &format!("bytes */{size}"));
            }
        };
        let mut answer = Answer {
            status,
            headers: Vec::new(),
            content: Content::Empty,
        }
        .with("content-type", "application/octet-stream")
        .with("content-length", &(range.end - range.start).to_string())
        .with("accept-ranges", "bytes")
        .with("docker-content-digest", &digest.to_string())
        .with("etag", &format!("\"{digest}\""));
        if status == 206 {
            let last = range.end.saturating_sub(1);
            answer = answer.with("content-range", &format!("bytes {}-{last}/{size}", range.start));
        }
        Answer {
            content: Content::File { file, range },
            ..answer
        }
    }

    fn referrers(&self, found: &[&Repository], subject: &Digest) -> Answer {
        let mut listed: Vec<Descriptor> = Vec::new();
        for referrer in found
            .iter()
            .filter_map(|repository| repository.referrers.get(subject))
            .flatten()
        {
            if !listed.iter().any(|known| known.digest == referrer.digest) {
                listed.push(referrer.clone());
            }
        }
        if let Some(wanted) = &self.query.artifact_type {
            listed.retain(|referrer| referrer.artifact_type.as_ref() == Some(wanted));
        }
        let Ok(bytes) = serde_json::to_vec(&Index::new(listed)) else {
            return Answer::unavailable();
        };
        let answer = Answer::json(200, media_type::INDEX, bytes);
        match self.query.artifact_type {
            Some(_) => answer.with("oci-filters-applied", "artifactType"),
            None => answer,
        }
    }

    fn tags(&self, found: &[&Repository], name: &str) -> Answer {
        let all: BTreeSet<&str> = found
            .iter()
            .flat_map(|found| found.tags.keys().map(String::as_str))
            .collect();
        let after = self.query.last.as_deref();
        let mut rest = all
            .into_iter()
            .filter(|tag| after.is_none_or(|after| *tag > after))
            .peekable();
        let page: Vec<&str> = rest.by_ref().take(self.query.page()).collect();
        let body = json!({ "name": name, "tags": page });
        let answer = Answer::json(200, "application/json", body.to_string().into_bytes());
        match (rest.peek(), page.last()) {
            (Some(_), Some(last)) => {
                let ns = self
                    .query
                    .ns
                    .as_deref()
                    .map(|ns| format!("&ns={}", ns.replace(':', "%3A")));
                let next = format!(
                    "/v2/{name}/tags/list?n={}&last={last}{}",
                    page.len(),
                    ns.unwrap_or_default()
                );
                answer.with("link", &format!("<{next}>; rel=\"next\""))
            }
            _ => answer,
        }
    }
}

impl Answer {
    /// The store cannot be read just now.
    pub(super) fn unavailable() -> Self {
        Self::error(503, "UNAVAILABLE", "the store cannot be read")
    }

    /// More is asked for than is answered at a time.
    #[must_use]
    pub fn too_many() -> Self {
        Self::error(429, "TOOMANYREQUESTS", "too many requests at a time").with("retry-after", "1")
    }

    fn error(status: u16, code: &str, message: &str) -> Self {
        let body = json!({ "errors": [{ "code": code, "message": message }] });
        Self::json(status, "application/json", body.to_string().into_bytes())
    }

    fn json(status: u16, media_type: &str, bytes: Vec<u8>) -> Self {
        let answer = Self {
            status,
            headers: Vec::new(),
            content: Content::Empty,
        };
        let answer = answer
            .with("content-type", media_type)
            .with("content-length", &bytes.len().to_string())
            .with("docker-distribution-api-version", "registry/2.0");
        Self {
            content: Content::Bytes(bytes),
            ..answer
        }
    }

    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }
}
