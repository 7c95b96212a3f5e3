//! Names of artifacts: `[registry/]repository[:tag][@digest]`, in the grammar of the OCI distribution specification.
//!
//! The first component names a registry when it contains a dot or a colon, or is `localhost`; every other name is local to
//! the store. No default registry is ever assumed. Docker's own registry has one name, `docker.io`, and its short names are
//! completed with `library/`, so that an artifact has one name in policies.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::digest::{Digest, DigestError};

/// Longest `registry/repository`, in bytes.
const MAX_NAME_LEN: usize = 255;
/// Longest tag, in bytes.
const MAX_TAG_LEN: usize = 128;
/// Longest text that is looked at: a name, a tag, a digest and their separators.
const MAX_TEXT_LEN: usize = MAX_NAME_LEN + MAX_TAG_LEN + 96;
/// The tag of a reference that gives neither tag nor digest.
const DEFAULT_TAG: &str = "latest";
/// The registry whose names have a short form, and where these names really live.
const DOCKER_HUB: &str = "docker.io";
const DOCKER_HUB_ALIAS: &str = "index.docker.io";
const DOCKER_HUB_SHORT: &str = "library";

/// A parsed artifact name. It has a tag, a digest, or both; with both, the digest decides. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference(Arc<Parts>);

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Parts {
    registry: Option<String>,
    repository: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

impl Reference {
    /// Registry host with optional port, in lowercase; `None` for names local to the store.
    #[must_use]
    pub fn registry(&self) -> Option<&str> {
        self.0.registry.as_deref()
    }

    /// Repository, without the registry.
    #[must_use]
    pub fn repository(&self) -> &str {
        &self.0.repository
    }

    /// Tag, if one was given or implied.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.0.tag.as_deref()
    }

    /// Digest, if one was given.
    #[must_use]
    pub fn digest(&self) -> Option<&Digest> {
        self.0.digest.as_ref()
    }

    /// `registry/repository`, or the repository alone for local names: what policies match.
    #[must_use]
    pub fn name(&self) -> String {
        match &self.0.registry {
            Some(registry) => format!("{registry}/{}", self.0.repository),
            None => self.0.repository.clone(),
        }
    }

    /// The same name pinned to `digest`, without a tag.
    #[must_use]
    pub fn with_digest(&self, digest: Digest) -> Self {
        Self(Arc::new(Parts {
            tag: None,
            digest: Some(digest),
            ..(*self.0).clone()
        }))
    }

    /// The name and tag without the digest: the key of a tag in the store. `None` when there is no tag.
    #[must_use]
    pub fn tagged(&self) -> Option<String> {
        self.0.tag.as_ref().map(|tag| format!("{}:{tag}", self.name()))
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())?;
        if let Some(tag) = &self.0.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.0.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let shown = || text.chars().take(160).collect::<String>();
        if text.len() > MAX_TEXT_LEN {
            return Err(ReferenceError::TooLong { text: shown() });
        }
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => {
                let digest = digest
                    .parse()
                    .map_err(|source| ReferenceError::Digest { text: shown(), source })?;
                (rest, Some(digest))
            }
            None => (text, None),
        };
        let (registry, path) = split_registry(rest);
        let (repository, tag) = match path.split_once(':') {
            Some((repository, tag)) => (repository, Some(tag)),
            None => (path, None),
        };
        if let Some(registry) = registry
            && !is_registry(registry)
        {
            return Err(ReferenceError::Registry { text: shown() });
        }
        if !repository.split('/').all(is_path_component) {
            return Err(ReferenceError::Repository { text: shown() });
        }
        if let Some(tag) = tag
            && !is_tag(tag)
        {
            return Err(ReferenceError::Tag { text: shown() });
        }
        let registry = registry
            .map(str::to_ascii_lowercase)
            .map(|registry| match registry.as_str() {
                DOCKER_HUB_ALIAS => DOCKER_HUB.to_owned(),
                _ => registry,
            });
        let repository = match registry.as_deref() {
            Some(DOCKER_HUB) if !repository.contains('/') => format!("{DOCKER_HUB_SHORT}/{repository}"),
            _ => repository.to_owned(),
        };
        let implied = (tag.is_none() && digest.is_none()).then_some(DEFAULT_TAG);
        let reference = Self(Arc::new(Parts {
            registry,
            repository,
            tag: tag.or(implied).map(str::to_owned),
            digest,
        }));
        if reference.name().len() > MAX_NAME_LEN {
            return Err(ReferenceError::TooLong { text: shown() });
        }
        Ok(reference)
    }
}

fn split_registry(text: &str) -> (Option<&str>, &str) {
    match text.split_once('/') {
        Some((first, rest)) if first.contains(['.', ':']) || first.eq_ignore_ascii_case("localhost") => {
            (Some(first), rest)
        }
        _ => (None, text),
    }
}

fn is_registry(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, port)) => {
            let is_address = address.parse::<std::net::Ipv6Addr>().is_ok();
            return is_address && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port));
        }
        None => text
            .split_once(':')
            .map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let is_label = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    host.split('.').all(is_label) && port.is_none_or(is_port)
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit()) && text.parse::<u16>().is_ok_and(|port| port != 0)
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*` of the distribution specification.
fn is_path_component(text: &str) -> bool {
    let alphanumeric = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let mut separator = String::new();
    let mut previous_was_word = false;
    for byte in text.bytes() {
        if alphanumeric(byte) {
            let allowed = matches!(separator.as_str(), "" | "." | "_" | "__") || separator.bytes().all(|b| b == b'-');
            if !allowed || (!separator.is_empty() && !previous_was_word) {
                return false;
            }
            separator.clear();
            previous_was_word = true;
        } else if matches!(byte, b'.' | b'_' | b'-') {
            separator.push(char::from(byte));
        } else {
            return false;
        }
    }
    previous_was_word && separator.is_empty()
}

fn is_tag(text: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    (1..=MAX_TAG_LEN).contains(&text.len())
        && text.bytes().next().is_some_and(word)
        && text.bytes().all(|b| word(b) || b == b'.' || b == b'-')
}

/// A text that is not a reference. `text` is cut to 160 characters in every variant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the one field is described on the enum")]
pub enum ReferenceError {
    /// Longer than any valid reference.
    #[error("reference {text:?} is too long: a name has at most {MAX_NAME_LEN} bytes")]
    TooLong { text: String },
    /// The part before the first slash is not a host with an optional port.
    #[error("reference {text:?} has no valid registry host")]
    Registry { text: String },
    /// The repository breaks the grammar.
    #[error("reference {text:?} has no valid repository name")]
    Repository { text: String },
    /// The tag breaks the grammar.
    #[error("reference {text:?} has no valid tag")]
    Tag { text: String },
    /// The part after `@` is not a digest.
    #[error("reference {text:?} has no valid digest")]
    Digest { text: String, source: DigestError },
}

impl ReferenceError {
    /// One line that tells the user what to do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::TooLong { .. } => "shorten the name".to_owned(),
            Self::Registry { .. } => "write HOST[:PORT]/repository".to_owned(),
            Self::Repository { .. } => {
                "a repository is lowercase letters and digits, joined by '.', '_', '-' and '/'".to_owned()
            }
            Self::Tag { .. } => "a tag is at most 128 letters, digits, '_', '.' and '-'".to_owned(),
            Self::Digest { .. } => "write @sha256: and 64 lowercase hex digits".to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    /// Text, registry, repository, tag, hex digits of the digest.
    type Case<'a> = (&'a str, Option<&'a str>, &'a str, Option<&'a str>, Option<&'a str>);

    #[test]
    fn grammar_table() {
        let pinned = format!("registry.example/a@sha256:{HEX}");
        let both = format!("localhost:5000/a/b:v1@sha256:{HEX}");
        let digest = Some(HEX);
        let cases: &[Case<'_>] = &[
            ("demo", None, "demo", Some("latest"), None),
            ("demo:v1", None, "demo", Some("v1"), None),
            ("demo/echo", None, "demo/echo", Some("latest"), None),
            ("a__b/c-d.e:X_1.2-3", None, "a__b/c-d.e", Some("X_1.2-3"), None),
            ("a---b", None, "a---b", Some("latest"), None),
            ("localhost/echo", Some("localhost"), "echo", Some("latest"), None),
            (
                "registry.example/t/echo:v1",
                Some("registry.example"),
                "t/echo",
                Some("v1"),
                None,
            ),
            (
                "Registry.EXAMPLE:443/echo",
                Some("registry.example:443"),
                "echo",
                Some("latest"),
                None,
            ),
            (
                "127.0.0.1:5000/echo",
                Some("127.0.0.1:5000"),
                "echo",
                Some("latest"),
                None,
            ),
            ("[::1]:5000/echo", Some("[::1]:5000"), "echo", Some("latest"), None),
            (
                "docker.io/busybox",
                Some("docker.io"),
                "library/busybox",
                Some("latest"),
                None,
            ),
            ("index.docker.io/a/b:v1", Some("docker.io"), "a/b", Some("v1"), None),
            (&pinned, Some("registry.example"), "a", None, digest),
            (&both, Some("localhost:5000"), "a/b", Some("v1"), digest),
        ];
        for (text, registry, repository, tag, digest) in cases {
            let reference: Reference = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(reference.registry(), *registry, "{text}");
            assert_eq!(reference.repository(), *repository, "{text}");
            assert_eq!(reference.tag(), *tag, "{text}");
            assert_eq!(reference.digest().map(Digest::hex).as_deref(), *digest, "{text}");
            assert_eq!(reference.to_string().parse::<Reference>().unwrap(), reference, "{text}");
        }
    }

    #[test]
    fn refuses_what_the_grammar_refuses() {
        let long = format!("registry.example/{}", "a".repeat(250));
        let long_tag = format!("a:{}", "t".repeat(129));
        let cases = [
            "",
            "/",
            "a/",
            "/a",
            "A",
            "a b",
            "a..b",
            "a._b",
            "a___b",
            "-a",
            "a-",
            ".a",
            "a:",
            "a:-t",
            "a:t:u",
            "a@",
            "a@b",
            "a:b/c",
            "registry.example:0/a",
            "registry.example:70000/a",
            "registry.example:x/a",
            "-x.y/a",
            "x..y/a",
            "[::g]/a",
            "[::1/a",
            "registry.example/",
            "registry.example/A",
            "a@sha256:00",
            "a/../b",
            "a/\u{e9}",
            &long,
            &long_tag,
        ];
        for text in cases {
            assert!(text.parse::<Reference>().is_err(), "{text} was accepted");
        }
    }
}
