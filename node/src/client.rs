//! How this node reaches registries: its settings, flags, credentials and proxies as one [`RegistryConfig`].

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    str::FromStr,
};

use dunlin_models::{
    Reference,
    registry::{
        CredentialSource, MirrorEndpoint, MirrorRule, ProxyConfig, Registry, RegistryConfig, TransferConfig,
        TransportError,
    },
    store::StoreError,
};
use fs_err as fs;
use thiserror::Error;

use crate::{
    Node,
    config::{MirrorSettings, PeerSettings, RegistrySettings},
};

/// A file of certificate authorities larger than this is none.
const MAX_CA_FILE: u64 = 4 << 20;

/// How registries are reached.
#[derive(Debug, Clone, Default)]
pub struct RegistryOptions {
    /// HTTP without TLS.
    pub plain_http: bool,
    /// Files with further certificate authorities.
    pub ca_files: Vec<PathBuf>,
    /// Whether blobs are always fetched whole, whatever deltas there are.
    pub no_delta: bool,
    /// Nodes that are asked before every registry.
    pub peers: Vec<Peer>,
}

/// Another node that serves its store, named by `http(s)://HOST[:PORT]`. Plain HTTP is used where the URL says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer(PeerSettings);

/// A text that names no peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("must be http(s)://HOST[:PORT], without a user or a path")]
pub struct PeerError;

impl FromStr for Peer {
    type Err = PeerError;

    fn from_str(text: &str) -> Result<Self, PeerError> {
        PeerSettings::parse(text).map(Self).ok_or(PeerError)
    }
}

/// Why there is no registry client.
#[derive(Debug, Error)]
pub enum ClientError {
    /// A file of certificate authorities cannot be read.
    #[error("cannot read the certificate authorities")]
    CaFile(#[source] std::io::Error),
    /// A file of certificate authorities is too large to be one.
    #[error("{} is too large for a file of certificate authorities", path.display())]
    CaFileTooLarge {
        /// The file.
        path: PathBuf,
    },
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The settings do not make a client.
    #[error(transparent)]
    Registry(#[from] TransportError),
}

impl ClientError {
    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::CaFile(_) | Self::CaFileTooLarge { .. } => Some("--ca-file takes a PEM file".to_owned()),
            Self::Store(error) => error.hint(),
            Self::Registry(error) => error.hint(),
        }
    }
}

impl Node {
    /// A client for the registries of `references` and their mirrors; plain HTTP, where it was asked for on the command line, is
    /// for those registries alone.
    pub(crate) fn registry(&self, references: &[&Reference]) -> Result<Registry, ClientError> {
        let hosts: BTreeSet<&str> = references.iter().filter_map(|reference| reference.registry()).collect();
        let settings: Vec<(&str, Option<&RegistrySettings>)> =
            hosts.iter().map(|host| (*host, self.config.registry(host))).collect();
        let is_plain = |settings: Option<&RegistrySettings>| {
            self.registry.plain_http || settings.is_some_and(|settings| settings.plain_http)
        };
        let mut files: Vec<&Path> = self.registry.ca_files.iter().map(PathBuf::as_path).collect();
        for (_, settings) in &settings {
            files.extend(
                settings
                    .iter()
                    .flat_map(|settings| &settings.ca_files)
                    .map(PathBuf::as_path),
            );
        }
        let transfer = TransferConfig::default();
        Ok(Registry::new(RegistryConfig {
            plain_http: settings
                .iter()
                .filter(|(_, settings)| is_plain(*settings))
                .map(|(host, _)| (*host).to_owned())
                .collect(),
            extra_roots_pem: authorities(&files)?,
            credentials: self.credentials(),
            proxy: self.proxies(),
            mirrors: self.mirrors(&settings),
            transfer: TransferConfig {
                streams: self.config.streams.unwrap_or(transfer.streams),
                ..transfer
            },
            ..RegistryConfig::default()
        })?)
    }

    /// What stands in for the registries: of those that settings speak of, peers before mirrors; of all others the peers that
    /// were named on the command line.
    fn mirrors(&self, settings: &[(&str, Option<&RegistrySettings>)]) -> Vec<MirrorRule> {
        let named: Vec<MirrorEndpoint> = self
            .registry
            .peers
            .iter()
            .map(|Peer(settings)| peer(settings))
            .collect();
        let known = settings.iter().filter_map(|(host, settings)| {
            let endpoints = named.iter().cloned().chain(endpoints((*settings)?));
            Some(((*host).to_owned(), endpoints.collect()))
        });
        let others = ("*".to_owned(), named.clone());
        let rules = known
            .chain([others])
            .map(|(registry, endpoints)| MirrorRule { registry, endpoints });
        rules.filter(|rule: &MirrorRule| !rule.endpoints.is_empty()).collect()
    }

    /// The files of the settings, then the user's own.
    fn credentials(&self) -> CredentialSource {
        let own = self.environment().docker_config.iter().filter(|path| path.exists());
        let files = self.config.credentials.iter().chain(own);
        CredentialSource::FirstOf(files.cloned().map(CredentialSource::DockerConfig).collect())
    }

    fn proxies(&self) -> ProxyConfig {
        let environment = self.environment();
        ProxyConfig {
            http: self.config.proxy.clone().or_else(|| environment.http_proxy.clone()),
            https: self.config.proxy.clone().or_else(|| environment.https_proxy.clone()),
            exclude: environment.no_proxy.clone(),
        }
    }
}

fn peer(settings: &PeerSettings) -> MirrorEndpoint {
    MirrorEndpoint::peer(&settings.host, settings.plain_http)
}

fn endpoints(settings: &RegistrySettings) -> impl Iterator<Item = MirrorEndpoint> {
    let mirror = |mirror: &MirrorSettings| {
        let location = if mirror.prefix.is_empty() {
            mirror.host.clone()
        } else {
            format!("{}/{}", mirror.host, mirror.prefix)
        };
        MirrorEndpoint {
            plain_http: mirror.plain_http,
            resolve: mirror.resolve,
            ..MirrorEndpoint::new(&location)
        }
    };
    let peers = settings.peers.iter().map(peer);
    peers.chain(settings.mirrors.iter().map(mirror))
}

/// The certificate authorities of all files as one text.
fn authorities(files: &[&Path]) -> Result<Option<String>, ClientError> {
    let mut text = String::new();
    for path in files {
        if fs::metadata(path).map_err(ClientError::CaFile)?.len() > MAX_CA_FILE {
            return Err(ClientError::CaFileTooLarge {
                path: path.to_path_buf(),
            });
        }
        text.push_str(&fs::read_to_string(path).map_err(ClientError::CaFile)?);
        text.push('\n');
    }
    Ok((!text.is_empty()).then_some(text))
}
