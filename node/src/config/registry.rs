//! `[[registry]]`: how particular registries are reached, and the mirrors that are asked before them.

use std::path::{Path, PathBuf};

use serde::Deserialize;

/// How registries of matching hosts are reached.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RegistrySettings {
    /// `host` or `host:port`, as references write it; `*.domain` stands for every host below the domain.
    pub host: String,
    /// HTTP without TLS.
    pub plain_http: bool,
    /// Files with further certificate authorities, in PEM.
    pub ca_files: Vec<PathBuf>,
    /// Asked in this order before the registry itself. Digests decide in any case.
    pub mirrors: Vec<MirrorSettings>,
    /// Other nodes that serve their stores, asked before all others.
    pub peers: Vec<PeerSettings>,
}

/// A mirror or a peer: a registry that has some of another's artifacts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MirrorSettings {
    /// `host` or `host:port`.
    pub host: String,
    /// Put before the repository's name, without slashes at its ends; empty for none.
    pub prefix: String,
    /// HTTP without TLS.
    pub plain_http: bool,
    /// Whether it may say what digest a tag has. Otherwise it is asked for digests only.
    pub resolve: bool,
}

/// Another node that serves its store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerSettings {
    /// `host` or `host:port`.
    pub host: String,
    /// HTTP without TLS.
    pub plain_http: bool,
}

impl PeerSettings {
    /// The peer of a URL `http(s)://HOST[:PORT]`; `None` when it is none.
    pub(crate) fn parse(url: &str) -> Option<Self> {
        let (plain_http, rest) = scheme(url)?;
        let host = rest.strip_suffix('/').unwrap_or(rest);
        is_host(host).then(|| Self {
            host: host.to_owned(),
            plain_http,
        })
    }
}

impl RegistrySettings {
    /// Whether these settings are for `host`.
    #[must_use]
    pub fn matches(&self, host: &str) -> bool {
        match self.host.strip_prefix("*.") {
            Some(domain) => host
                .strip_suffix(domain)
                .and_then(|below| below.strip_suffix('.'))
                .is_some_and(|below| !below.is_empty()),
            None => self.host == host,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenRegistry {
    host: String,
    #[serde(default)]
    plain_http: bool,
    #[serde(default)]
    ca_files: Vec<PathBuf>,
    #[serde(default)]
    mirrors: Vec<WrittenMirror>,
    #[serde(default)]
    peers: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenMirror {
    endpoint: String,
    #[serde(default)]
    resolve: bool,
}

/// Checks the entry at `position`.
pub(super) fn check(
    written: WrittenRegistry,
    position: usize,
    folder: &Path,
    faults: &mut Vec<String>,
) -> RegistrySettings {
    let field = format!("registry[{position}]");
    if !is_host(written.host.strip_prefix("*.").unwrap_or(&written.host)) {
        faults.push(format!("{field}.host: must be HOST, HOST:PORT or *.DOMAIN"));
    }
    let mut mirrors = Vec::new();
    for (position, mirror) in written.mirrors.iter().enumerate() {
        match endpoint(mirror) {
            Some(mirror) => mirrors.push(mirror),
            // The text is not repeated: it may hold a password.
            None => faults.push(format!(
                "{field}.mirrors[{position}].endpoint: must be http(s)://HOST[:PORT][/PREFIX], without a user"
            )),
        }
    }
    let mut peers = Vec::new();
    for (position, peer) in written.peers.iter().enumerate() {
        match PeerSettings::parse(peer) {
            Some(peer) => peers.push(peer),
            // The text is not repeated: it may hold a password.
            None => faults.push(format!(
                "{field}.peers[{position}]: must be http(s)://HOST[:PORT], without a user or a path"
            )),
        }
    }
    RegistrySettings {
        host: written.host,
        plain_http: written.plain_http,
        ca_files: written.ca_files.iter().map(|file| folder.join(file)).collect(),
        mirrors,
        peers,
    }
}

/// Whether a URL is plain HTTP, and what comes after the scheme.
fn scheme(url: &str) -> Option<(bool, &str)> {
    match url.split_once("://")? {
        ("http", rest) => Some((true, rest)),
        ("https", rest) => Some((false, rest)),
        _ => None,
    }
}

fn endpoint(written: &WrittenMirror) -> Option<MirrorSettings> {
    let (plain_http, rest) = scheme(&written.endpoint)?;
    let (host, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let prefix = prefix.trim_matches('/');
    (is_host(host) && prefix.bytes().all(is_prefix_byte)).then(|| MirrorSettings {
        host: host.to_owned(),
        prefix: prefix.to_owned(),
        plain_http,
        resolve: written.resolve,
    })
}

/// Names, addresses and ports; brackets for IPv6.
fn is_host(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b':' | b'[' | b']'))
}

fn is_prefix_byte(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'_' | b'/')
}
