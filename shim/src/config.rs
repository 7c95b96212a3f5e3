//! [`Config`]: the shim's configuration file, `/etc/dunlin/shim.toml` unless the runtime's options name another
//! (`ConfigPath` in containerd's configuration). Every field has a default; unknown fields are refused.

use std::{
    io,
    path::{Path, PathBuf},
};

use serde::Deserialize;

/// Where the file is looked for when nothing else is said. It need not be there.
pub const DEFAULT_PATH: &str = "/etc/dunlin/shim.toml";
/// A larger file is none of ours.
const MAX_CONFIG_BYTES: u64 = 1 << 20;

/// How the shim works on this node.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The OCI runtime of Linux containers: a program name or a path.
    pub runtime: String,
    /// Folder of that runtime's state; the containerd namespace is appended.
    pub runtime_root: PathBuf,
    /// Whether that runtime makes control groups through systemd. The options that containerd passes come first.
    pub systemd_cgroup: bool,
    /// Folder of compiled code, owned by root and private.
    pub code_cache: PathBuf,
    /// The program that compiles; a name without a slash is looked for beside the shim first.
    pub compiler: PathBuf,
    /// Trust policy of this node. Without the file, and without `allow_unsigned`, no WebAssembly container starts.
    pub policy: PathBuf,
    /// The node's store of artifacts and signatures.
    pub store: PathBuf,
    /// Whether images that no rule admits are run with a warning, where the policy does not forbid that.
    pub allow_unsigned: bool,
    /// Port of HTTP guests whose containers have no `PORT` variable.
    pub http_port: u16,
    /// Seconds that requests in flight get when the container is asked to stop. The kubelet's own grace period should be
    /// longer.
    pub drain_seconds: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            runtime: "runc".to_owned(),
            runtime_root: PathBuf::from("/run/dunlin/runc"),
            systemd_cgroup: false,
            code_cache: PathBuf::from("/var/cache/dunlin/code"),
            compiler: PathBuf::from("dunlin-shim-compile"),
            policy: PathBuf::from("/etc/dunlin/policy.yaml"),
            store: PathBuf::from("/var/lib/dunlin/store"),
            allow_unsigned: false,
            // The port of the wasi:http shims before this one.
            http_port: 8080,
            // Below Kubernetes' default grace period of 30 s.
            drain_seconds: 20,
        }
    }
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the shim's configuration")]
    Read {
        /// The file system's answer, naming the path.
        #[source]
        source: io::Error,
    },
    /// The file is too large.
    #[error("{} is larger than {MAX_CONFIG_BYTES} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// The file says something that is not understood.
    #[error("{} is not a valid configuration", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and why.
        #[source]
        source: Box<toml::de::Error>,
    },
}

impl ConfigError {
    /// One line telling the user what to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Read { .. } => Some("name an existing file as ConfigPath of the runtime".to_owned()),
            Self::TooLarge { .. } => None,
            Self::Parse { .. } => Some("the known fields are in the shim's guide".to_owned()),
        }
    }
}

impl Config {
    /// Reads the file at `path`, or the default one where it exists.
    ///
    /// # Errors
    /// See [`ConfigError`]. A missing default file is none.
    pub fn load(path: Option<&Path>) -> Result<Self, ConfigError> {
        let default = Path::new(DEFAULT_PATH);
        match path {
            None if !default.exists() => Ok(Self::default()),
            path => Self::read(path.unwrap_or(default)),
        }
    }

    fn read(path: &Path) -> Result<Self, ConfigError> {
        let read = |source| ConfigError::Read { source };
        if fs_err::metadata(path).map_err(read)?.len() > MAX_CONFIG_BYTES {
            return Err(ConfigError::TooLarge { path: path.to_owned() });
        }
        let text = fs_err::read_to_string(path).map_err(read)?;
        toml::from_str(&text).map_err(|source| ConfigError::Parse {
            path: path.to_owned(),
            source: Box::new(source),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn load(text: &str) -> Result<Config, ConfigError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("shim.toml");
        fs_err::write(&path, text).unwrap();
        Config::load(Some(&path))
    }

    #[test]
    fn fields_that_are_not_said_have_their_defaults() {
        let config = load("runtime = \"crun\"\n").unwrap();
        assert_eq!(config.runtime, "crun");
        assert_eq!(config.http_port, 8080);
        assert!(!config.allow_unsigned);
    }

    #[test]
    fn unknown_fields_and_missing_files_are_refused() {
        assert!(matches!(load("allow_unsinged = true"), Err(ConfigError::Parse { .. })));
        assert!(matches!(
            Config::load(Some(Path::new("/nonexistent/shim.toml"))),
            Err(ConfigError::Read { .. })
        ));
    }
}
