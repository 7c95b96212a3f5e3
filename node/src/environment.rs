//! Where this process keeps its state and finds its settings: the one place that reads environment variables.
//!
//! [`Environment`] is plain data once built; everything below gets paths and values, never variable names.

use std::path::PathBuf;

use thiserror::Error;

use crate::config::ConfigLocation;

/// Variable naming the state folder (content store, views).
pub const DATA_VARIABLE: &str = "DUNLIN_DATA";
/// Variable naming the cache folder (precompiled code).
pub const CACHE_VARIABLE: &str = "DUNLIN_CACHE";
/// Variable naming the trust policy file.
pub const POLICY_VARIABLE: &str = "DUNLIN_POLICY";
/// Variable naming the node's configuration file.
pub const CONFIG_VARIABLE: &str = "DUNLIN_CONFIG";
/// Variable with the password of encrypted signing keys; the name is cosign's, so that scripts keep working.
pub const KEY_PASSWORD_VARIABLE: &str = "COSIGN_PASSWORD";
/// Variables with the proxies, as curl reads them: lower case wins, and `HTTP_PROXY` is not looked at, since a CGI server
/// lets its clients set it.
const HTTPS_PROXY_VARIABLES: [&str; 4] = ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];
const HTTP_PROXY_VARIABLES: [&str; 3] = ["http_proxy", "all_proxy", "ALL_PROXY"];
const NO_PROXY_VARIABLES: [&str; 2] = ["no_proxy", "NO_PROXY"];
/// Variables naming a libonnxruntime, in the order in which they are looked at. The second is the one that users of
/// `ort` already set.
pub const ONNXRUNTIME_VARIABLES: [&str; 2] = ["DUNLIN_ONNXRUNTIME", "ORT_DYLIB_PATH"];

/// Folders in which a libonnxruntime is looked for when none is named: where distributions and its own archives put it.
const ONNXRUNTIME_FOLDERS: [&str; 5] = [
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/local/lib",
    "/usr/lib64",
    "/opt/onnxruntime/lib",
];

/// Policy file of the whole machine, used when the user has none of their own.
const SYSTEM_POLICY: &str = "/etc/dunlin/policy.yaml";
/// Configuration file of the whole machine.
const SYSTEM_CONFIG: &str = "/etc/dunlin/node.toml";
/// State and cache of the system service.
const SYSTEM_DATA: &str = "/var/lib/dunlin";
const SYSTEM_CACHE: &str = "/var/cache/dunlin";

/// Paths and settings of one process.
#[derive(Debug, Clone)]
pub struct Environment {
    /// State folder; the content store is `<data>/store`.
    pub data_dir: PathBuf,
    /// Cache folder; precompiled code is `<cache>/code`. Safe to delete at any time.
    pub cache_dir: PathBuf,
    /// The policy file to use, and whether somebody named it (then its absence is an error).
    pub policy: PolicyLocation,
    /// The node's configuration file.
    pub config: ConfigLocation,
    /// URL of the proxy for requests without TLS.
    pub http_proxy: Option<String>,
    /// URL of the proxy for requests with TLS.
    pub https_proxy: Option<String>,
    /// Hosts that are reached without the proxy, separated by commas.
    pub no_proxy: Option<String>,
    /// Docker's `config.json`, for registry credentials. May not exist.
    pub docker_config: Option<PathBuf>,
    /// A libonnxruntime that the user named.
    pub onnxruntime: Option<PathBuf>,
    /// Folders in which a libonnxruntime is looked for.
    pub onnxruntime_search: Vec<PathBuf>,
}

/// Where the trust policy is expected.
#[derive(Debug, Clone)]
pub enum PolicyLocation {
    /// Named by a flag or a variable: it must exist.
    Named(PathBuf),
    /// The default places, best first: the first one that exists is used; where none exists, nothing is trusted.
    Default(Vec<PathBuf>),
}

/// Why the environment could not be understood.
#[derive(Debug, Error)]
pub enum EnvironmentError {
    /// No variable says where this user's files belong.
    #[error("cannot tell where to keep state: neither {DATA_VARIABLE}, XDG_DATA_HOME nor HOME is set")]
    NoHome,
}

impl EnvironmentError {
    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> String {
        format!("set {DATA_VARIABLE} to a folder that this user can write")
    }
}

impl Environment {
    /// Reads the process's environment.
    ///
    /// # Errors
    /// [`EnvironmentError::NoHome`] where an ordinary user has neither a home folder nor an explicit state folder.
    pub fn from_process() -> Result<Self, EnvironmentError> {
        Self::from_lookup(&process_variable, rustix::process::geteuid().is_root())
    }

    fn from_lookup(lookup: &dyn Fn(&str) -> Option<PathBuf>, root: bool) -> Result<Self, EnvironmentError> {
        let home = lookup("HOME");
        let under_home =
            |variable: &str, below: &str| lookup(variable).or_else(|| home.as_ref().map(|home| home.join(below)));
        let data_dir = match lookup(DATA_VARIABLE) {
            Some(named) => named,
            None if root => PathBuf::from(SYSTEM_DATA),
            None => under_home("XDG_DATA_HOME", ".local/share")
                .ok_or(EnvironmentError::NoHome)?
                .join("dunlin"),
        };
        let cache_dir = match lookup(CACHE_VARIABLE) {
            Some(named) => named,
            None if root => PathBuf::from(SYSTEM_CACHE),
            None => under_home("XDG_CACHE_HOME", ".cache")
                .map_or_else(|| data_dir.join("cache"), |cache| cache.join("dunlin")),
        };
        let places = |name: &str, system: &str| -> Vec<PathBuf> {
            let own = under_home("XDG_CONFIG_HOME", ".config")
                .filter(|_| !root)
                .map(|config| config.join("dunlin").join(name));
            own.into_iter().chain([system.into()]).collect()
        };
        let policy = lookup(POLICY_VARIABLE).map_or_else(
            || PolicyLocation::Default(places("policy.yaml", SYSTEM_POLICY)),
            PolicyLocation::Named,
        );
        let config = lookup(CONFIG_VARIABLE).map_or_else(
            || ConfigLocation::Default(places("node.toml", SYSTEM_CONFIG)),
            ConfigLocation::Named,
        );
        let text = |names: &[&str]| {
            let value = names.iter().find_map(|name| lookup(name))?;
            value.to_str().map(str::to_owned)
        };
        let docker_config = under_home("DOCKER_CONFIG", ".docker").map(|folder| folder.join("config.json"));
        Ok(Self {
            data_dir,
            cache_dir,
            policy,
            config,
            http_proxy: text(&HTTP_PROXY_VARIABLES),
            https_proxy: text(&HTTPS_PROXY_VARIABLES),
            no_proxy: text(&NO_PROXY_VARIABLES),
            docker_config,
            onnxruntime: ONNXRUNTIME_VARIABLES.iter().find_map(|variable| lookup(variable)),
            onnxruntime_search: ONNXRUNTIME_FOLDERS.iter().map(PathBuf::from).collect(),
        })
    }

    /// The content store's folder.
    #[must_use]
    pub fn store_dir(&self) -> PathBuf {
        self.data_dir.join("store")
    }

    /// The folder of verdicts that need not be reached again.
    #[must_use]
    pub fn verdict_dir(&self) -> PathBuf {
        self.cache_dir.join("verdicts")
    }

    /// The precompiled-code cache's folder.
    #[must_use]
    pub fn code_dir(&self) -> PathBuf {
        self.cache_dir.join("code")
    }
}

/// The variable `name` of this process, for guests that get it by name; `None` where it is not set or not UTF-8.
#[must_use]
pub fn variable(name: &str) -> Option<String> {
    process_variable(name)?.into_os_string().into_string().ok()
}

#[allow(
    clippy::disallowed_methods,
    reason = "this module is the one that reads the environment"
)]
fn process_variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name)
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lookup<'a>(pairs: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Option<PathBuf> + 'a {
        move |name| {
            pairs
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| PathBuf::from(value))
        }
    }

    #[test]
    fn a_user_keeps_state_under_the_xdg_folders() {
        let environment =
            Environment::from_lookup(&lookup(&[("HOME", "/home/u"), ("XDG_CACHE_HOME", "/c")]), false).unwrap();
        assert_eq!(
            environment.store_dir(),
            PathBuf::from("/home/u/.local/share/dunlin/store")
        );
        assert_eq!(environment.code_dir(), PathBuf::from("/c/dunlin/code"));
        let PolicyLocation::Default(places) = environment.policy else {
            panic!("named")
        };
        assert_eq!(places[0], PathBuf::from("/home/u/.config/dunlin/policy.yaml"));
        assert_eq!(places[1], PathBuf::from("/etc/dunlin/policy.yaml"));
    }

    #[test]
    fn root_keeps_state_in_the_system_folders() {
        let environment = Environment::from_lookup(&lookup(&[("HOME", "/root")]), true).unwrap();
        assert_eq!(environment.data_dir, PathBuf::from("/var/lib/dunlin"));
        let PolicyLocation::Default(places) = environment.policy else {
            panic!("named")
        };
        assert_eq!(places, [PathBuf::from("/etc/dunlin/policy.yaml")]);
    }

    #[test]
    fn variables_win_over_defaults() {
        let pairs = [
            ("DUNLIN_DATA", "/d"),
            ("DUNLIN_POLICY", "/p.yaml"),
            ("ORT_DYLIB_PATH", "/o.so"),
        ];
        let environment = Environment::from_lookup(&lookup(&pairs), true).unwrap();
        assert_eq!(environment.data_dir, PathBuf::from("/d"));
        assert!(matches!(environment.policy, PolicyLocation::Named(path) if path.as_os_str() == "/p.yaml"));
        assert_eq!(environment.onnxruntime, Some(PathBuf::from("/o.so")));
    }

    #[test]
    fn a_user_without_a_home_is_told_what_to_set() {
        let error = Environment::from_lookup(&lookup(&[]), false).unwrap_err();
        assert!(error.hint().contains("DUNLIN_DATA"));
    }
}
