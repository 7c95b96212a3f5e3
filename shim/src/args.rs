//! The command line that containerd gives a shim (Go's flag syntax: `-name value`, `-name=value`, one or two dashes) and the
//! shim's own inner commands.

use std::path::PathBuf;

/// What the process is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// `start`: find or start the shim of a pod and print its address.
    Start,
    /// `delete`: remove what a dead shim left of a container.
    Delete,
    /// `-info`: say what this runtime is.
    Info,
    /// `-v`: say which version it is.
    Version,
    /// No action: the shim itself, with its socket as standard input.
    Serve,
    /// The inside of a WebAssembly container.
    Worker,
}

/// The parsed command line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Args {
    /// containerd's namespace.
    pub namespace: String,
    /// The container.
    pub id: String,
    /// containerd's gRPC socket.
    pub address: String,
    /// containerd's ttrpc socket; ours, from `start` to the shim it starts.
    pub ttrpc_address: String,
    /// The bundle, where it is not the working folder.
    pub bundle: Option<PathBuf>,
    /// The shim's configuration file; ours, from `start` to the shim it starts.
    pub config: Option<PathBuf>,
    /// The socket that the shim serves; ours, from `start` to the shim it starts.
    pub socket: Option<PathBuf>,
    /// Whether to log details.
    pub debug: bool,
}

/// A command line that is not understood.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ArgsError {
    /// A flag without its value.
    #[error("flag `{flag}` needs a value")]
    MissingValue {
        /// The flag.
        flag: String,
    },
    /// Neither a flag nor an action.
    #[error("`{word}` is neither a flag nor an action of this shim")]
    Unknown {
        /// The word.
        word: String,
    },
}

impl Args {
    /// Parses the words after the program's name.
    ///
    /// # Errors
    /// See [`ArgsError`].
    pub fn parse(words: impl IntoIterator<Item = String>) -> Result<(Action, Self), ArgsError> {
        let mut args = Self::default();
        let mut action = None;
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            let Some(flag) = word.strip_prefix("--").or_else(|| word.strip_prefix('-')) else {
                action = Some(match word.as_str() {
                    "start" => Action::Start,
                    "delete" => Action::Delete,
                    "worker" => Action::Worker,
                    _ => return Err(ArgsError::Unknown { word }),
                });
                continue;
            };
            let (flag, inline) = match flag.split_once('=') {
                Some((flag, value)) => (flag, Some(value.to_owned())),
                None => (flag, None),
            };
            match flag {
                "debug" => args.debug = inline.is_none_or(|value| value == "true"),
                "v" | "version" => action = Some(Action::Version),
                "info" => action = Some(Action::Info),
                _ => {
                    let value = inline.or_else(|| words.next());
                    let value = value.ok_or_else(|| ArgsError::MissingValue { flag: flag.to_owned() })?;
                    args.set(flag, value)?;
                }
            }
        }
        Ok((action.unwrap_or(Action::Serve), args))
    }

    fn set(&mut self, flag: &str, value: String) -> Result<(), ArgsError> {
        match flag {
            "namespace" => self.namespace = value,
            "id" => self.id = value,
            "address" => self.address = value,
            "ttrpc-address" => self.ttrpc_address = value,
            "bundle" => self.bundle = Some(value.into()).filter(|path: &PathBuf| !path.as_os_str().is_empty()),
            "config" => self.config = Some(value.into()),
            "socket" => self.socket = Some(value.into()),
            // Events go over containerd's ttrpc socket; the debug socket is a profiler's in Go.
            "publish-binary" | "debug-socket" => {}
            _ => {
                return Err(ArgsError::Unknown {
                    word: format!("-{flag}"),
                });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn parse(line: &str) -> Result<(Action, Args), ArgsError> {
        Args::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn containerds_own_call_is_understood() {
        let (action, args) = parse(
            "-namespace k8s.io -address /run/c.sock -publish-binary /usr/bin/containerd -id abc -bundle /b -debug delete",
        )
        .unwrap();
        assert_eq!(action, Action::Delete);
        assert_eq!((args.namespace.as_str(), args.id.as_str()), ("k8s.io", "abc"));
        assert_eq!(args.bundle.unwrap(), PathBuf::from("/b"));
        assert!(args.debug);
    }

    #[test]
    fn go_spellings_are_understood() {
        let (action, args) = parse("--namespace=x -id=y").unwrap();
        assert_eq!((action, args.id.as_str()), (Action::Serve, "y"));
        assert_eq!(parse("-info").unwrap().0, Action::Info);
    }

    #[test]
    fn what_is_not_known_is_refused() {
        assert!(matches!(parse("-nonsense x"), Err(ArgsError::Unknown { .. })));
        assert!(matches!(parse("stop"), Err(ArgsError::Unknown { .. })));
        assert!(matches!(parse("-id"), Err(ArgsError::MissingValue { .. })));
    }
}
