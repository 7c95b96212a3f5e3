//! [`NodeConfig`]: the settings of a node, read from a TOML file in two stages: as written, then checked. Every fault is
//! collected before the file is refused; unknown fields are faults. Nothing here opens what the settings name.

mod registry;
mod size;
mod storage;
mod written;

use std::{
    io::Read as _,
    path::{Path, PathBuf},
};

use thiserror::Error;

pub(crate) use size::parse_size;

pub use registry::{MirrorSettings, PeerSettings, RegistrySettings};
pub use storage::StorageSettings;

/// A configuration file larger than this is none, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// Settings of a node. The default is what a machine without a file has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodeConfig {
    /// How particular registries are reached, in the order of the file; the first whose host matches counts.
    pub registries: Vec<RegistrySettings>,
    /// URL of the proxy for registries; wins over the environment's.
    pub proxy: Option<String>,
    /// Kubernetes pull secrets and other files in the form of docker's `config.json`, asked in this order before the
    /// user's own.
    pub credentials: Vec<PathBuf>,
    /// Parallel ranges of one blob.
    pub streams: Option<usize>,
    /// Whether blobs are made of older ones where that saves bytes; they are, unless this says no.
    pub deltas: Option<bool>,
    /// How much the store may hold.
    pub storage: StorageSettings,
}

/// Where the configuration is expected.
#[derive(Debug, Clone)]
pub enum ConfigLocation {
    /// Named by a flag or a variable: it must exist.
    Named(PathBuf),
    /// The default places, best first: the first one that exists is used.
    Default(Vec<PathBuf>),
}

/// Why the configuration cannot be used.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration")]
    Read(#[source] std::io::Error),
    /// The file is too large to be one.
    #[error("the configuration {} has more than {MAX_FILE} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// It is no TOML, or has a field that nobody knows.
    #[error("the configuration {} is not valid: {message}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// What is wrong and where.
        message: String,
    },
    /// Values that make no sense.
    #[error("the configuration {} is not valid: {}", path.display(), faults.join("; "))]
    Faults {
        /// The file.
        path: PathBuf,
        /// One line for each fault: the field, and what is wrong.
        faults: Vec<String>,
    },
}

impl ConfigError {
    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Read(_) => Some("--config and DUNLIN_CONFIG name an existing file".to_owned()),
            Self::TooLarge { .. } => None,
            Self::Syntax { .. } | Self::Faults { .. } => Some("docs/reference/config.md lists every field".to_owned()),
        }
    }
}

impl NodeConfig {
    /// Reads the configuration at `location`. Paths in it are relative to its folder.
    ///
    /// # Errors
    /// A named file is missing; a file is unreadable or not valid. Where no default file exists, the default settings hold.
    pub fn read(location: &ConfigLocation) -> Result<Self, ConfigError> {
        match location {
            ConfigLocation::Named(path) => Self::from_file(path),
            ConfigLocation::Default(places) => places
                .iter()
                .find(|place| place.exists())
                .map_or_else(|| Ok(Self::default()), |place| Self::from_file(place)),
        }
    }

    fn from_file(path: &Path) -> Result<Self, ConfigError> {
        let mut text = String::new();
        let file = fs_err::File::open(path).map_err(ConfigError::Read)?;
        let read = file
            .take(MAX_FILE + 1)
            .read_to_string(&mut text)
            .map_err(ConfigError::Read)?;
        if u64::try_from(read).is_ok_and(|read| read > MAX_FILE) {
            return Err(ConfigError::TooLarge { path: path.to_owned() });
        }
        Self::parse(&text, path)
    }

    /// Checks the text of the file at `path`.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let written: written::File = toml::from_str(text).map_err(|error| ConfigError::Syntax {
            path: path.to_owned(),
            message: position(text, &error),
        })?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let mut faults = Vec::new();
        let config = written.check(folder, &mut faults);
        if faults.is_empty() {
            Ok(config)
        } else {
            Err(ConfigError::Faults {
                path: path.to_owned(),
                faults,
            })
        }
    }

    /// The settings of `host`, as references write it.
    #[must_use]
    pub fn registry(&self, host: &str) -> Option<&RegistrySettings> {
        self.registries.iter().find(|settings| settings.matches(host))
    }
}

/// The message with its line, on one line.
pub(crate) fn position(text: &str, error: &toml::de::Error) -> String {
    let message = error.message().replace('\n', " ");
    let line = error
        .span()
        .and_then(|span| text.get(..span.start))
        .map(|before| before.matches('\n').count() + 1);
    line.map_or_else(|| message.clone(), |line| format!("line {line}: {message}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<NodeConfig, ConfigError> {
        NodeConfig::parse(text, Path::new("/etc/dunlin/node.toml"))
    }

    #[test]
    fn a_whole_file_is_read() {
        let config = parse(
            r#"
            [transfer]
            proxy = "http://proxy.example:3128"
            credentials = ["pull-secret.json"]
            streams = 8
            deltas = false

            [[registry]]
            host = "*.corp.example"
            ca_files = ["corp.pem"]
            peers = ["http://10.0.0.7:5000", "https://node.corp.example/"]
            [[registry.mirrors]]
            endpoint = "http://10.0.0.2:5000/team"
            resolve = true

            [[registry]]
            host = "localhost:5000"
            plain_http = true

            [store]
            high_watermark = "80G"
            low_watermark = "60G"
            min_free = "5G"
            partial_max_age_hours = 48
            "#,
        )
        .unwrap();
        assert_eq!((config.streams, config.deltas), (Some(8), Some(false)));
        assert_eq!(config.credentials, [PathBuf::from("/etc/dunlin/pull-secret.json")]);
        let corp = config.registry("models.corp.example").unwrap();
        assert_eq!(corp.ca_files, [PathBuf::from("/etc/dunlin/corp.pem")]);
        assert_eq!(corp.mirrors[0].host, "10.0.0.2:5000");
        assert_eq!(corp.mirrors[0].prefix, "team");
        assert!(corp.mirrors[0].plain_http && corp.mirrors[0].resolve);
        let peers: Vec<_> = corp
            .peers
            .iter()
            .map(|peer| (peer.host.as_str(), peer.plain_http))
            .collect();
        assert_eq!(peers, [("10.0.0.7:5000", true), ("node.corp.example", false)]);
        assert!(config.registry("localhost:5000").unwrap().plain_http);
        assert!(config.registry("corp.example").is_none());
        assert!(config.registry("evil.example").is_none());
        assert_eq!(config.storage.high_watermark, Some(80 << 30));
        assert_eq!(config.storage.partial_max_age.as_secs(), 48 * 3600);
    }

    #[test]
    fn nothing_is_taken_on_a_guess() {
        let Err(ConfigError::Syntax { message, .. }) = parse("[store]\n\nhigh_watermrak = 1") else {
            panic!("an unknown field passed")
        };
        assert!(
            message.starts_with("line 3:") && message.contains("high_watermrak"),
            "{message}"
        );
        assert!(matches!(parse("[store"), Err(ConfigError::Syntax { .. })));
    }

    #[test]
    fn all_faults_are_told_at_once() {
        let Err(ConfigError::Faults { faults, .. }) = parse(
            r#"
            [transfer]
            proxy = "ftp://x"
            streams = 0
            [[registry]]
            host = "a b"
            mirrors = [{ endpoint = "https://user:secret@mirror.example" }, { endpoint = "mirror" }]
            peers = ["10.0.0.7:5000", "http://user:secret@10.0.0.7"]
            [store]
            high_watermark = "10G"
            low_watermark = "20G"
            min_free = "lots"
            "#,
        ) else {
            panic!("faults passed")
        };
        let fields = [
            "transfer.proxy",
            "transfer.streams",
            "registry[0].host",
            "registry[0].mirrors[0].endpoint",
            "registry[0].mirrors[1].endpoint",
            "registry[0].peers[0]",
            "registry[0].peers[1]",
            "store.min_free",
            "store.low_watermark",
        ];
        for field in fields {
            assert!(
                faults.iter().any(|fault| fault.starts_with(&format!("{field}:"))),
                "{field} is not among {faults:?}"
            );
        }
        assert!(!faults.join(" ").contains("secret"), "{faults:?}");
    }

    #[test]
    fn a_missing_default_file_is_no_error_and_a_named_one_is() {
        let none = PathBuf::from("/no/such/node.toml");
        assert_eq!(
            NodeConfig::read(&ConfigLocation::Default(vec![none.clone()])).unwrap(),
            NodeConfig::default()
        );
        assert!(matches!(
            NodeConfig::read(&ConfigLocation::Named(none)),
            Err(ConfigError::Read(_))
        ));
    }
}
