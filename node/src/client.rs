//! How this node reaches registries: its settings, flags, credentials and proxies as one [`RegistryConfig`].

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
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
    config::{MirrorSettings, RegistrySettings},
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
            mirrors: settings
                .iter()
                .filter_map(|(host, settings)| mirrors(host, (*settings)?))
                .collect(),
            transfer: TransferConfig {
                streams: self.config.streams.unwrap_or(transfer.streams),
                ..transfer
            },
            ..RegistryConfig::default()
        })?)
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

fn mirrors(host: &str, settings: &RegistrySettings) -> Option<MirrorRule> {
    let endpoint = |mirror: &MirrorSettings| {
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
    (!settings.mirrors.is_empty()).then(|| MirrorRule {
        registry: host.to_owned(),
        endpoints: settings.mirrors.iter().map(endpoint).collect(),
    })
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
