//! What a request's path and query name. Nothing here touches the disk.

use crate::digest::Digest;

/// Longest path that is looked at, in bytes: the longest name, the longest tag, and what stands between.
const MAX_PATH: usize = 512;
/// Longest query that is looked at, in bytes.
const MAX_QUERY: usize = 1024;
/// Most tags of one page.
const MAX_PAGE: usize = 1000;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target<'a> {
    /// `/v2/`: whether this is a registry.
    Root,
    /// A manifest by tag.
    Tag(&'a str, &'a str),
    /// A manifest by digest.
    Manifest(&'a str, Digest),
    Blob(&'a str, Digest),
    /// What refers to a manifest.
    Referrers(&'a str, Digest),
    Tags(&'a str),
}

impl<'a> Target<'a> {
    /// What `path` names; `None` when that is nothing of the protocol. Percent-encoding is not undone: names need none.
    pub(super) fn parse(path: &'a str) -> Option<Self> {
        if path.len() > MAX_PATH {
            return None;
        }
        let rest = path.strip_prefix("/v2")?;
        if rest.is_empty() || rest == "/" {
            return Some(Self::Root);
        }
        let rest = rest.strip_prefix('/')?;
        if let Some(name) = rest.strip_suffix("/tags/list") {
            return Some(Self::Tags(name));
        }
        let (front, last) = rest.rsplit_once('/')?;
        let (name, kind) = front.rsplit_once('/')?;
        match (kind, last.parse()) {
            ("manifests", Ok(digest)) => Some(Self::Manifest(name, digest)),
            ("manifests", Err(_)) => Some(Self::Tag(name, last)),
            ("blobs", Ok(digest)) => Some(Self::Blob(name, digest)),
            ("referrers", Ok(digest)) => Some(Self::Referrers(name, digest)),
            _ => None,
        }
    }
}

/// What a query asks for besides; unknown parts are left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Query {
    /// The registry that names are of, as containerd and others ask their mirrors.
    pub(super) ns: Option<String>,
    /// Tags of a page.
    pub(super) n: Option<usize>,
    /// The last tag of the page before.
    pub(super) last: Option<String>,
    pub(super) artifact_type: Option<String>,
}

impl Query {
    pub(super) fn parse(query: &str) -> Self {
        let mut found = Self::default();
        if query.is_empty() || query.len() > MAX_QUERY {
            return found;
        }
        let Ok(url) = reqwest::Url::parse(&format!("http://localhost/?{query}")) else {
            return found;
        };
        for (key, value) in url.query_pairs() {
            match &*key {
                "ns" => found.ns = Some(value.into_owned()),
                "n" => found.n = value.parse().ok(),
                "last" => found.last = Some(value.into_owned()),
                // A plus sign that was not encoded reads as a space, which no media type has.
                "artifactType" => found.artifact_type = Some(value.replace(' ', "+")),
                _ => {}
            }
        }
        found
    }

    /// Tags of a page: as many as were asked for, up to the most that there are.
    pub(super) fn page(&self) -> usize {
        self.n.unwrap_or(MAX_PAGE).min(MAX_PAGE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_the_protocol_are_read() {
        let digest = Digest::of(b"x");
        let cases = [
            ("/v2".to_owned(), Some(Target::Root)),
            ("/v2/".to_owned(), Some(Target::Root)),
            ("/v2/a/b/manifests/v1".to_owned(), Some(Target::Tag("a/b", "v1"))),
            (
                format!("/v2/a/b/manifests/{digest}"),
                Some(Target::Manifest("a/b", digest)),
            ),
            (format!("/v2/a/blobs/{digest}"), Some(Target::Blob("a", digest))),
            (
                format!("/v2/a/referrers/{digest}"),
                Some(Target::Referrers("a", digest)),
            ),
            ("/v2/a/b/tags/list".to_owned(), Some(Target::Tags("a/b"))),
        ];
        for (path, expected) in cases {
            assert_eq!(Target::parse(&path), expected, "{path}");
        }
    }

    #[test]
    fn nothing_else_is() {
        let long = format!("/v2/{}/manifests/v1", "a".repeat(MAX_PATH));
        let upper = format!("/v2/a/blobs/{}", Digest::of(b"x").to_string().to_uppercase());
        for path in [
            "",
            "/",
            "/v1/",
            "/v2x",
            "/v2/_catalog",
            "/v2/a/blobs/../../index.json",
            "/v2/a/blobs/sha256:..",
            "/v2/a/blobs/uploads/",
            "/v2/blobs",
            "/etc/passwd",
            &long,
            &upper,
        ] {
            assert_eq!(Target::parse(path), None, "{path}");
        }
    }

    #[test]
    fn queries_are_decoded() {
        let query = Query::parse("ns=127.0.0.1%3A5000&n=5&last=v1&artifactType=a/b.v1+json&x=y");
        assert_eq!(query.ns.as_deref(), Some("127.0.0.1:5000"));
        assert_eq!((query.page(), query.last.as_deref()), (5, Some("v1")));
        assert_eq!(query.artifact_type.as_deref(), Some("a/b.v1+json"));
        assert_eq!(Query::parse("n=99999999999999999999&ns").page(), MAX_PAGE);
        assert_eq!(Query::parse(&"x=1&".repeat(MAX_QUERY)), Query::default());
    }
}
