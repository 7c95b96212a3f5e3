//! [`World`]: what a guest can be run as. Decided by exports alone; nothing is instantiated.

use std::fmt;

/// What a guest can be run as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum World {
    /// A program: exports `wasi:cli/run` of WASI 0.2 or 0.3, or `_start` as a core module.
    Command,
    /// An HTTP handler of WASI 0.2: exports `wasi:http/incoming-handler`.
    HttpProxy,
    /// An HTTP handler of WASI 0.3: exports `wasi:http/handler`.
    HttpService03,
    /// Something else: a library, or a world that this host does not know.
    Unknown,
}

impl World {
    /// Whether it handles HTTP requests.
    #[must_use]
    pub fn serves_http(self) -> bool {
        matches!(self, Self::HttpProxy | Self::HttpService03)
    }

    /// An HTTP handler wins over a command, because a program with both is one that serves and has a `main` for tests.
    pub(super) fn of_component(exports: &[String]) -> Self {
        let any = |interface: &str| exports.iter().any(|export| export.starts_with(interface));
        if any("wasi:http/incoming-handler@0.2.") {
            Self::HttpProxy
        } else if any("wasi:http/handler@0.3.") {
            Self::HttpService03
        } else if any("wasi:cli/run@0.2.") || any("wasi:cli/run@0.3.") {
            Self::Command
        } else {
            Self::Unknown
        }
    }

    pub(super) fn of_module<'a>(mut exports: impl Iterator<Item = (&'a str, bool)>) -> Self {
        if exports.any(|export| export == ("_start", true)) {
            Self::Command
        } else {
            Self::Unknown
        }
    }
}

impl fmt::Display for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Command => "command",
            Self::HttpProxy => "http proxy (wasi 0.2)",
            Self::HttpService03 => "http service (wasi 0.3)",
            Self::Unknown => "unknown",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exports_decide() {
        let of = |names: &[&str]| World::of_component(&names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>());
        assert_eq!(of(&["wasi:cli/run@0.2.3"]), World::Command);
        assert_eq!(
            of(&["wasi:cli/run@0.2.3", "wasi:http/incoming-handler@0.2.0"]),
            World::HttpProxy
        );
        assert_eq!(of(&["wasi:http/handler@0.3.0"]), World::HttpService03);
        assert_eq!(of(&["wasi:cli/run@0.3.0"]), World::Command);
        assert_eq!(of(&["wasi:cli/run@0.4.0"]), World::Unknown);
        assert_eq!(of(&["run"]), World::Unknown);
        assert_eq!(
            World::of_module([("memory", false), ("_start", true)].into_iter()),
            World::Command
        );
        assert_eq!(World::of_module([("_start", false)].into_iter()), World::Unknown);
    }
}
