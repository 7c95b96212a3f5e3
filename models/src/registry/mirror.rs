//! Other places where a registry's content can be had: mirrors, caches, and peers that serve their stores. All are
//! untrusted; digests decide.

/// The endpoints that stand in for some registries, in the order in which they are asked.
#[derive(Debug, Clone, Default)]
pub struct MirrorRule {
    /// Registries it is for, as written in references: `registry.example`, `*.example`, `*`. A `*` stands for any text.
    pub registry: String,
    /// The endpoints. The registry itself is asked last.
    pub endpoints: Vec<MirrorEndpoint>,
}

/// One mirror, cache or peer.
#[derive(Debug, Clone)]
pub struct MirrorEndpoint {
    /// `host` or `host:port`, with the path under which the repositories lie after a `/`, if there is one.
    pub location: String,
    /// Whether it is spoken to without TLS.
    pub plain_http: bool,
    /// Certificate authorities for it in PEM, beside all the others.
    pub extra_roots_pem: Option<String>,
    /// Whether it is never pushed to. Of the others, the first is pushed to instead of the registry.
    pub pull_only: bool,
    /// Whether it may say which digest a tag names, and what signatures there are.
    pub resolve: bool,
    /// Whether it is a peer: another node that serves its store. Peers are told which registry is meant, answer for names only
    /// when the registry itself cannot be reached, and are left sooner when they are silent or slow.
    pub peer: bool,
}

impl MirrorEndpoint {
    /// A read-only mirror of blobs and manifests by digest, over TLS.
    #[must_use]
    pub fn new(location: &str) -> Self {
        Self {
            location: location.to_owned(),
            plain_http: false,
            extra_roots_pem: None,
            pull_only: true,
            resolve: false,
            peer: false,
        }
    }

    /// A peer at `host` or `host:port`.
    #[must_use]
    pub fn peer(host: &str, plain_http: bool) -> Self {
        Self {
            plain_http,
            peer: true,
            ..Self::new(host)
        }
    }

    /// Host, and the path before the repository's name.
    pub(super) fn parts(&self) -> (&str, &str) {
        let (host, path) = self.location.split_once('/').unwrap_or((&self.location, ""));
        (host, path.trim_matches('/'))
    }
}

impl MirrorRule {
    /// Whether the rule is for `registry`.
    pub(super) fn applies(&self, registry: &str) -> bool {
        let mut parts = self.registry.split('*');
        let Some(mut rest) = registry.strip_prefix(parts.next().unwrap_or_default()) else {
            return false;
        };
        let mut parts = parts.peekable();
        if parts.peek().is_none() {
            return rest.is_empty();
        }
        while let Some(part) = parts.next() {
            if parts.peek().is_none() {
                return rest.ends_with(part);
            }
            match rest.split_once(part) {
                Some((_, after)) => rest = after,
                None => return false,
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_match_whole_names() {
        let applies = |pattern: &str, registry: &str| {
            let rule = MirrorRule {
                registry: pattern.to_owned(),
                endpoints: Vec::new(),
            };
            rule.applies(registry)
        };
        assert!(applies("registry.example", "registry.example"));
        assert!(!applies("registry.example", "registry.example:5000"));
        assert!(!applies("registry.example", "my.registry.example"));
        assert!(applies("*", "anything:1"));
        assert!(applies("*.example", "a.b.example"));
        assert!(!applies("*.example", "example"));
        assert!(applies("a*c*e", "abcde"));
        assert!(!applies("a*c*e", "abde"));
        assert!(!applies("", "x"));
    }

    #[test]
    fn locations_have_a_host_and_a_path() {
        assert_eq!(
            MirrorEndpoint::new("cache.example:5000").parts(),
            ("cache.example:5000", "")
        );
        assert_eq!(
            MirrorEndpoint::new("cache.example/hub/").parts(),
            ("cache.example", "hub")
        );
    }
}
