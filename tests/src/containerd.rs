//! [`Containerd`]: a containerd with folders of its own and without its Kubernetes part.

use std::{path::PathBuf, process::Command};

use tempfile::TempDir;

use crate::{Daemon, Output, present, program, tool};

/// Which containerd.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContainerdVersion {
    /// Debian's, 1.6.
    V1_6,
    /// 1.7.
    V1_7,
    /// 2.4.
    V2_4,
}

impl ContainerdVersion {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::V1_6, Self::V1_7, Self::V2_4];

    fn program(self, name: &str) -> Option<PathBuf> {
        match self {
            Self::V1_6 => program(name).then(|| PathBuf::from(name)),
            Self::V1_7 => tool("containerd-1.7", name),
            Self::V2_4 => tool("containerd-2.4", name),
        }
    }
}

/// A running containerd; ended when dropped.
#[derive(Debug)]
pub struct Containerd {
    version: ContainerdVersion,
    ctr: PathBuf,
    // Before the folder: it ends before its files go.
    _daemon: Daemon,
    folder: TempDir,
}

impl Containerd {
    /// Starts it, or returns `None` where it is not installed or this is not root.
    ///
    /// # Panics
    /// It does not come up; or it is not there and `CI=true`.
    #[must_use]
    pub fn start(version: ContainerdVersion) -> Option<Self> {
        if !present(rustix::process::geteuid().is_root(), "containerd needs root") {
            return None;
        }
        let (daemon, ctr) = (version.program("containerd")?, version.program("ctr")?);
        let folder = TempDir::new().expect("a temporary folder");
        let path = |name: &str| folder.path().join(name);
        let plugins = [
            "io.containerd.grpc.v1.cri",
            "io.containerd.cri.v1.images",
            "io.containerd.cri.v1.runtime",
            "io.containerd.nri.v1.nri",
        ];
        let configuration = format!(
            "version = 2\nroot = {:?}\nstate = {:?}\ndisabled_plugins = {plugins:?}\n[grpc]\naddress = {:?}\n",
            path("root"),
            path("state"),
            path("containerd.sock"),
        );
        fs_err::write(path("config.toml"), configuration).expect("containerd's configuration");
        let mut command = Command::new(daemon);
        command.arg("--config").arg(path("config.toml"));
        let mut asked = Command::new(&ctr);
        asked.arg("--address").arg(path("containerd.sock")).arg("version");
        let daemon = Daemon::start(&mut command, &path("log")).until(|| Output::of(&mut asked).code == 0);
        Some(Self {
            version,
            ctr,
            _daemon: daemon,
            folder,
        })
    }

    /// Runs `ctr` against it.
    ///
    /// # Panics
    /// It cannot be started.
    #[must_use]
    pub fn ctr(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(&self.ctr);
        command.arg("--address").arg(self.folder.path().join("containerd.sock"));
        Output::of(command.args(arguments))
    }

    /// Pulls an image over plain HTTP, fetched by `ctr` itself in every version.
    ///
    /// # Panics
    /// `ctr` cannot be started.
    #[must_use]
    pub fn pull(&self, reference: &str) -> Output {
        // Before 2.0 there is no other way, and no option for it.
        let local: &[&str] = match self.version {
            ContainerdVersion::V2_4 => &["--local"],
            ContainerdVersion::V1_6 | ContainerdVersion::V1_7 => &[],
        };
        let pull = ["images", "pull", "--plain-http"];
        self.ctr(&[&pull[..], local, &[reference]].concat())
    }
}
