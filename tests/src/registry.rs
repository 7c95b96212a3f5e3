//! [`RegistryServer`]: a real registry on loopback, with a folder of its own.

mod guard;
mod hostile;
mod realm;
mod shelf;

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

pub use guard::{Guard, Login, PASSWORD, USER, docker_config};
pub use hostile::{Ask, HostileRegistry, Reply};
use realm::TokenRealm;
pub use shelf::{Shelf, digest_of};

use crate::{Daemon, free_port, program, tool};

/// Whose registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RegistryKind {
    /// Debian's docker-registry (distribution 2): no referrers API.
    Debian,
    /// distribution 3: no referrers API either; can have TLS and logins.
    Distribution,
    /// ociregistry: the referrers API, with `null` for an empty list. Keeps everything in memory.
    Referrers,
    /// go-containerregistry: the referrers API, with the config's media type for the artifact's.
    Ggcr,
}

impl RegistryKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Debian, Self::Distribution, Self::Referrers, Self::Ggcr];

    /// Whether it answers `/referrers/<digest>`.
    #[must_use]
    pub fn has_referrers(self) -> bool {
        matches!(self, Self::Referrers | Self::Ggcr)
    }
}

/// A running registry; ended when dropped.
#[derive(Debug)]
pub struct RegistryServer {
    kind: RegistryKind,
    port: u16,
    // Before the folder: it ends before its files go.
    _daemon: Daemon,
    folder: TempDir,
    certificate: Option<PathBuf>,
    realm: Option<TokenRealm>,
}

impl RegistryServer {
    /// Debian's, or `None` where it is not installed.
    ///
    /// # Panics
    /// It does not start; or it is not installed and `CI=true`.
    #[must_use]
    pub fn start() -> Option<Self> {
        Self::of(RegistryKind::Debian)
    }

    /// One that everybody may read and write over plain HTTP, or `None` where it is not installed.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    #[must_use]
    pub fn of(kind: RegistryKind) -> Option<Self> {
        let name = match kind {
            RegistryKind::Debian => program("docker-registry").then(|| PathBuf::from("docker-registry"))?,
            RegistryKind::Distribution => return Self::guarded(Guard::default()),
            RegistryKind::Referrers | RegistryKind::Ggcr => tool("referrers-registry", "referrers-registry")?,
        };
        let (folder, port) = (TempDir::new().expect("a temporary folder"), free_port());
        let mut command = Command::new(name);
        match kind {
            RegistryKind::Debian | RegistryKind::Distribution => {
                command.arg("serve").arg(guard::configuration(folder.path(), port, ""));
            }
            RegistryKind::Referrers => {
                command.args(["-kind", "ociregistry", "-address", &format!("127.0.0.1:{port}")]);
            }
            RegistryKind::Ggcr => {
                let blobs = folder.path().join("blobs");
                fs_err::create_dir(&blobs).expect("a folder of blobs");
                command.args(["-kind", "ggcr", "-address", &format!("127.0.0.1:{port}"), "-blobs"]);
                command.arg(blobs);
            }
        }
        let daemon = Daemon::start(&mut command, &folder.path().join("log")).listening(port);
        Some(Self {
            kind,
            port,
            folder,
            certificate: None,
            _daemon: daemon,
            realm: None,
        })
    }

    /// distribution 3 behind TLS, a login or both, or `None` where it is not built.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    #[must_use]
    pub fn guarded(guard: Guard) -> Option<Self> {
        let registry = tool("distribution", "registry")?;
        let (folder, port) = (TempDir::new().expect("a temporary folder"), free_port());
        let prepared = guard.prepare(folder.path())?;
        let configuration = guard::configuration(folder.path(), port, &prepared.settings);
        let mut command = Command::new(registry);
        command
            .arg("serve")
            .arg(configuration)
            .env("OTEL_TRACES_EXPORTER", "none");
        let daemon = Daemon::start(&mut command, &folder.path().join("log")).listening(port);
        Some(Self {
            kind: RegistryKind::Distribution,
            port,
            folder,
            certificate: prepared.authority,
            _daemon: daemon,
            realm: prepared.realm,
        })
    }

    /// Whose registry it is.
    #[must_use]
    pub fn kind(&self) -> RegistryKind {
        self.kind
    }

    /// `127.0.0.1:<port>`.
    #[must_use]
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// `127.0.0.1:<port>/<name>`.
    #[must_use]
    pub fn reference(&self, name: &str) -> String {
        format!("{}/{name}", self.host())
    }

    /// The certificate of the authority that signed its own, where it has TLS.
    ///
    /// # Panics
    /// It has none.
    #[must_use]
    pub fn authority(&self) -> &Path {
        self.certificate.as_deref().expect("a registry with TLS")
    }

    /// How often a password was shown to the realm that gives its tokens.
    ///
    /// # Panics
    /// It has no such realm.
    #[must_use]
    pub fn realm_logins(&self) -> usize {
        self.realm.as_ref().expect("a registry with tokens").logins()
    }

    /// The file in which the registry keeps a blob, by `sha256:<hex>`.
    ///
    /// # Panics
    /// It keeps blobs in memory.
    #[must_use]
    pub fn blob(&self, digest: &str) -> PathBuf {
        let hex = digest.trim_start_matches("sha256:");
        match self.kind {
            RegistryKind::Debian | RegistryKind::Distribution => {
                let blobs = self.folder.path().join("data/docker/registry/v2/blobs/sha256");
                blobs.join(&hex[..2]).join(hex).join("data")
            }
            RegistryKind::Ggcr => self.folder.path().join("blobs/sha256").join(hex),
            RegistryKind::Referrers => panic!("a registry without files"),
        }
    }
}
