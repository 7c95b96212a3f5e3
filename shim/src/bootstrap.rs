//! `start`: from containerd's call to the address of the pod's shim. Nothing here starts a runtime or an engine: the socket is
//! bound, the shim executed with it as its standard input, and the address printed.

use std::{
    io::{self, Read, Write as _},
    os::unix::{
        fs::{DirBuilderExt as _, PermissionsExt as _},
        net::{UnixListener, UnixStream},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use containerd_shim_protos::{
    bootstrap_api::{BootstrapParams, BootstrapResult, LogLevel},
    protobuf::{Message as _, well_known_types::any::Any},
};
use prost::Message as _;
use sha2::{Digest as _, Sha256};

use crate::{
    args::Args,
    config::{Config, ConfigError},
    error::SpecError,
    spec::Spec,
};

/// Where sockets of shims lie unless containerd says otherwise. Short, because a socket's path must be.
const SOCKET_FOLDER: &str = "/run/containerd/s";
/// Bound of what containerd writes to standard input.
const MAX_INPUT_BYTES: u64 = 10 << 20;
/// The options that containerd's CRI plugin passes to runtimes that it does not know.
const OPTIONS_TYPE: &str = "runtimeoptions.v1.Options";

/// Why no shim was started.
#[derive(Debug, thiserror::Error)]
pub enum BootstrapError {
    /// The container's specification.
    #[error("the bundle cannot be used")]
    Spec {
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The shim's own configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Standard input cannot be read.
    #[error("cannot read what containerd says on standard input")]
    Input {
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The socket cannot be made.
    #[error("cannot listen on {}", path.display())]
    Socket {
        /// Its path.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The shim cannot be started.
    #[error("cannot start the shim's process")]
    Spawn {
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The answer cannot be written.
    #[error("cannot answer containerd")]
    Answer {
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl From<SpecError> for BootstrapError {
    fn from(error: SpecError) -> Self {
        Self::Spec { source: error.into() }
    }
}

/// `runtimeoptions.v1.Options` of containerd.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct RuntimeOptions {
    #[prost(string, tag = "1")]
    pub(crate) type_url: String,
    #[prost(string, tag = "2")]
    pub(crate) config_path: String,
    #[prost(bytes = "vec", tag = "3")]
    pub(crate) config_body: Vec<u8>,
}

/// What standard input said.
#[derive(Debug, Default)]
struct Input {
    /// Whether containerd speaks the protocol of 2.3 and later, and is answered in it.
    structured: bool,
    ttrpc_address: Option<String>,
    socket_folder: Option<PathBuf>,
    config: Option<PathBuf>,
    debug: bool,
}

/// Finds or starts the shim and prints its address. The working folder is the bundle.
///
/// # Errors
/// See [`BootstrapError`].
pub fn start(args: &Args, ttrpc_address: Option<String>, stdin: impl Read) -> Result<(), BootstrapError> {
    let mut bytes = Vec::new();
    stdin
        .take(MAX_INPUT_BYTES)
        .read_to_end(&mut bytes)
        .map_err(|source| BootstrapError::Input { source })?;
    let input = Input::parse(&bytes, args);
    // Read again by the shim itself: here so that a fault of it is containerd's to show.
    Config::load(input.config.as_deref())?;
    let spec = Spec::read(Path::new("."))?;
    let group = spec.group().unwrap_or(&args.id);
    let folder = input.socket_folder.clone().unwrap_or_else(|| SOCKET_FOLDER.into());
    let socket = folder.join(socket_name(&args.address, &args.namespace, group));
    if let Some(listener) = bind(&folder, &socket)? {
        let ttrpc_address = input.ttrpc_address.clone().or(ttrpc_address).unwrap_or_default();
        if let Err(source) = spawn(args, &input, &ttrpc_address, &socket, listener) {
            // Nobody will answer there.
            let _ = fs_err::remove_file(&socket);
            return Err(BootstrapError::Spawn { source });
        }
    }
    let address = format!("unix://{}", socket.display());
    let answer = |source| BootstrapError::Answer { source };
    // containerd before 2.3 finds the shim again by this file when it restarts.
    fs_err::write("address", &address).map_err(answer)?;
    let bytes = if input.structured {
        let result = BootstrapResult {
            version: containerd_shim_protos::TASK_API_VERSION,
            address,
            protocol: "ttrpc".to_owned(),
            ..BootstrapResult::default()
        };
        result
            .write_to_bytes()
            .map_err(|error| answer(io::Error::other(error)))?
    } else {
        address.into_bytes()
    };
    let mut stdout = io::stdout().lock();
    stdout.write_all(&bytes).and_then(|()| stdout.flush()).map_err(answer)
}

impl Input {
    /// Older options may parse as the newer message, so the ids in it must be those of the command line.
    fn parse(bytes: &[u8], args: &Args) -> Self {
        if let Ok(params) = BootstrapParams::parse_from_bytes(bytes)
            && !bytes.is_empty()
            && params.instance_id == args.id
            && params.namespace == args.namespace
        {
            let options = params
                .extensions
                .iter()
                .find_map(|extension| config_path(extension.value.as_ref()?));
            return Self {
                structured: true,
                ttrpc_address: Some(params.containerd_ttrpc_address.clone()).filter(|address| !address.is_empty()),
                socket_folder: params.socket_dir.clone().filter(|dir| !dir.is_empty()).map(Into::into),
                config: options,
                debug: params
                    .log_level
                    .enum_value()
                    .is_ok_and(|level| matches!(level, LogLevel::LOG_LEVEL_DEBUG | LogLevel::LOG_LEVEL_TRACE)),
            };
        }
        let options = Any::parse_from_bytes(bytes).ok();
        Self {
            config: options.as_ref().and_then(config_path),
            ..Self::default()
        }
    }
}

/// The `ConfigPath` of the runtime's options.
pub(crate) fn config_path(options: &Any) -> Option<PathBuf> {
    if options.type_url.rsplit('/').next() != Some(OPTIONS_TYPE) {
        return None;
    }
    let options = RuntimeOptions::decode(options.value.as_slice()).ok()?;
    Some(options.config_path)
        .filter(|path| !path.is_empty())
        .map(Into::into)
}

/// The name by which all calls for one pod find the same shim.
fn socket_name(address: &str, namespace: &str, group: &str) -> String {
    let mut hasher = Sha256::new();
    for part in ["dunlin", address, namespace, group] {
        hasher.update(part.as_bytes());
        hasher.update([0]);
    }
    let digest = hasher.finalize();
    digest.iter().fold(String::with_capacity(64), |mut name, byte| {
        use std::fmt::Write as _;
        // Writing to a string does not fail.
        let _ = write!(name, "{byte:02x}");
        name
    })
}

/// A new listener; `None` when a shim answers there already.
fn bind(folder: &Path, socket: &Path) -> Result<Option<UnixListener>, BootstrapError> {
    let error = |source| BootstrapError::Socket {
        path: socket.to_owned(),
        source,
    };
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(error)?;
    let listener = match UnixListener::bind(socket) {
        Ok(listener) => listener,
        Err(taken) if taken.kind() == io::ErrorKind::AddrInUse => {
            if UnixStream::connect(socket).is_ok() {
                return Ok(None);
            }
            // Left by a shim that was killed.
            fs_err::remove_file(socket).map_err(error)?;
            UnixListener::bind(socket).map_err(error)?
        }
        Err(source) => return Err(error(source)),
    };
    fs_err::set_permissions(socket, std::fs::Permissions::from_mode(0o600)).map_err(error)?;
    Ok(Some(listener))
}

fn spawn(args: &Args, input: &Input, ttrpc_address: &str, socket: &Path, listener: UnixListener) -> io::Result<()> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args([
        "-namespace",
        &args.namespace,
        "-id",
        &args.id,
        "-address",
        &args.address,
    ]);
    command.args(["-ttrpc-address", ttrpc_address]);
    command.arg("-socket").arg(socket);
    if let Some(config) = &input.config {
        command.arg("-config").arg(config);
    }
    if args.debug || input.debug {
        command.arg("-debug");
    }
    // containerd ends its own process group; the shim outlives it.
    command
        .process_group(0)
        .stdin(std::os::fd::OwnedFd::from(listener))
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.spawn().map(drop)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn args() -> Args {
        Args {
            id: "c1".to_owned(),
            namespace: "k8s.io".to_owned(),
            ..Args::default()
        }
    }

    fn options() -> Any {
        Any {
            type_url: OPTIONS_TYPE.to_owned(),
            value: RuntimeOptions {
                config_path: "/etc/x.toml".to_owned(),
                ..RuntimeOptions::default()
            }
            .encode_to_vec(),
            ..Any::default()
        }
    }

    #[test]
    fn the_newer_protocol_is_known_by_its_ids() {
        let mut params = BootstrapParams {
            instance_id: "c1".to_owned(),
            namespace: "k8s.io".to_owned(),
            containerd_ttrpc_address: "/run/c.ttrpc".to_owned(),
            ..BootstrapParams::default()
        };
        let input = Input::parse(&params.write_to_bytes().unwrap(), &args());
        assert!(input.structured);
        assert_eq!(input.ttrpc_address.as_deref(), Some("/run/c.ttrpc"));
        params.instance_id = "other".to_owned();
        assert!(!Input::parse(&params.write_to_bytes().unwrap(), &args()).structured);
    }

    #[test]
    fn older_options_name_the_configuration() {
        let input = Input::parse(&options().write_to_bytes().unwrap(), &args());
        assert!(!input.structured);
        assert_eq!(input.config.unwrap(), Path::new("/etc/x.toml"));
        for hostile in [&b""[..], b"\xff\xff\xff", b"{\"json\":1}"] {
            assert!(Input::parse(hostile, &args()).config.is_none());
        }
    }

    #[test]
    fn pods_namespaces_and_daemons_have_sockets_of_their_own() {
        let names = [
            socket_name("/a", "n", "g"),
            socket_name("/a", "n", "h"),
            socket_name("/a", "m", "g"),
            socket_name("/b", "n", "g"),
            socket_name("/a", "ng", ""),
        ];
        let different: std::collections::HashSet<_> = names.iter().collect();
        assert_eq!(different.len(), names.len());
    }

    #[test]
    fn a_dead_shims_socket_is_replaced_and_a_living_ones_kept() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("s");
        let living = bind(folder.path(), &socket).unwrap().unwrap();
        assert!(bind(folder.path(), &socket).unwrap().is_none());
        drop(living);
        assert!(bind(folder.path(), &socket).unwrap().is_some());
    }
}
