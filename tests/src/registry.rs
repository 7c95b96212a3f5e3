//! Debian's docker-registry on loopback, with a folder of its own.

use std::{
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// How long the registry may take to listen.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// A running registry without the referrers API; killed when dropped.
#[derive(Debug)]
pub struct RegistryServer {
    child: Child,
    port: u16,
    folder: TempDir,
}

impl RegistryServer {
    /// Starts it, or `None` where it is not installed.
    ///
    /// # Panics
    /// It does not start; or it is not installed and `CI=true`.
    #[must_use]
    pub fn start() -> Option<Self> {
        if !crate::program("docker-registry") {
            return None;
        }
        let folder = TempDir::new().expect("a temporary folder");
        let port = free_port();
        let config = format!(
            "version: 0.1\nlog: {{ level: error }}\nstorage:\n  filesystem: {{ rootdirectory: {} }}\n  delete: {{ enabled: true }}\nhttp: {{ addr: \"127.0.0.1:{port}\" }}\n",
            folder.path().join("data").display()
        );
        let path = folder.path().join("config.yml");
        fs_err::write(&path, config).expect("the registry's configuration");
        let child = Command::new("docker-registry")
            .arg("serve")
            .arg(&path)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("docker-registry starts");
        let started = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            assert!(started.elapsed() < START_TIMEOUT, "docker-registry does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(Self { child, port, folder })
    }

    /// `127.0.0.1:<port>/<name>`.
    #[must_use]
    pub fn reference(&self, name: &str) -> String {
        format!("127.0.0.1:{}/{name}", self.port)
    }

    /// The file in which the registry keeps a blob, by `sha256:<hex>`.
    #[must_use]
    pub fn blob(&self, digest: &str) -> PathBuf {
        let hex = digest.trim_start_matches("sha256:");
        self.folder
            .path()
            .join("data/docker/registry/v2/blobs/sha256")
            .join(&hex[..2])
            .join(hex)
            .join("data")
    }
}

impl Drop for RegistryServer {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A TCP port of loopback that was free a moment ago.
///
/// # Panics
/// There is none.
#[must_use]
pub fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .expect("a free port")
        .port()
}
