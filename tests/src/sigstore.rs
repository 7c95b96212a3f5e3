//! [`Sigstore`]: a whole one on loopback for keyless signing: an OpenID provider, Fulcio, Rekor (version 2) and a timestamp
//! authority, with the signing configuration and the trusted root that lead to them. There is no certificate transparency log.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use tempfile::TempDir;

use crate::{Daemon, OidcIssuer, Output, free_port, program, tool};

/// From when on the services are said to be valid.
const SINCE: &str = "start-time=2026-01-01T00:00:00Z";

/// A running Sigstore; ended when dropped.
#[derive(Debug)]
pub struct Sigstore {
    // Before the folder: they end before their files go.
    _daemons: [Daemon; 3],
    folder: TempDir,
    issuer: OidcIssuer,
}

struct Ports {
    fulcio: u16,
    rekor: u16,
    timestamp: u16,
}

impl Sigstore {
    /// Starts it, or returns `None` where a part of it is not built.
    ///
    /// # Panics
    /// It does not come up; or a part is not built and `CI=true`.
    #[must_use]
    pub fn start() -> Option<Self> {
        let fulcio = tool("fulcio", "fulcio")?;
        let rekor = tool("rekor", "rekor-server")?;
        let timestamp = tool("timestamp", "timestamp-server")?;
        let cosign = tool("cosign", "cosign")?;
        if !program("openssl") {
            return None;
        }
        let folder = TempDir::new().expect("a temporary folder");
        let issuer = OidcIssuer::start();
        let ports = Ports {
            fulcio: free_port(),
            rekor: free_port(),
            timestamp: free_port(),
        };
        let daemons = [
            start_fulcio(&fulcio, folder.path(), &issuer.url(), ports.fulcio),
            start_rekor(&rekor, folder.path(), ports.rekor),
            start_timestamp(&timestamp, folder.path(), ports.timestamp),
        ];
        fetch(ports.fulcio, "api/v1/rootCert", &folder.path().join("fulcio.pem"));
        fetch(
            ports.timestamp,
            "api/v1/timestamp/certchain",
            &folder.path().join("timestamp.pem"),
        );
        describe(&cosign, folder.path(), &ports);
        Some(Self {
            folder,
            issuer,
            _daemons: daemons,
        })
    }

    /// The file that tells a signer where to sign.
    #[must_use]
    pub fn signing_config(&self) -> PathBuf {
        self.folder.path().join("signing-config.json")
    }

    /// The file that tells a verifier whom to trust.
    #[must_use]
    pub fn trusted_root(&self) -> PathBuf {
        self.folder.path().join("trusted-root.json")
    }

    /// The issuer that certificates name.
    #[must_use]
    pub fn issuer(&self) -> String {
        self.issuer.url()
    }

    /// An identity token for this address.
    #[must_use]
    pub fn token(&self, email: &str) -> String {
        self.issuer.token(email)
    }
}

fn start_fulcio(program: &Path, folder: &Path, issuer: &str, port: u16) -> Daemon {
    let configuration = folder.join("fulcio.yaml");
    let text = format!(
        "oidc-issuers:\n  {issuer}: {{ issuer-url: {issuer}, client-id: sigstore, type: email, issuer-claim: $.iss, description: test, contact: test@localhost }}\n"
    );
    fs_err::write(&configuration, text).expect("fulcio's configuration");
    let mut command = Command::new(program);
    command
        .args(["serve", "--host", "127.0.0.1", "--port", &port.to_string()])
        .args(["--grpc-port", &free_port().to_string()])
        .args(["--metrics-port", &free_port().to_string()])
        .args(["--ca", "ephemeralca", "--ct-log-url", "", "--config-path"])
        .arg(configuration);
    Daemon::start(&mut command, &folder.join("fulcio.log")).listening(port)
}

fn start_rekor(program: &Path, folder: &Path, port: u16) -> Daemon {
    let openssl = |arguments: &str| {
        let mut command = Command::new("openssl");
        drop(Output::of(command.args(arguments.split(' ')).current_dir(folder)).ok());
    };
    openssl("genpkey -algorithm ed25519 -out rekor.key");
    openssl("pkey -in rekor.key -pubout -out rekor.pub");
    let mut command = Command::new(program);
    command
        .args(["serve", "--http-port", &port.to_string()])
        .args(["--grpc-port", &free_port().to_string()])
        .args(["--http-metrics-port", &free_port().to_string()])
        // The origin of its checkpoints, which must be the host of the log's URL in the trusted root.
        .args(["--hostname", "127.0.0.1", "--checkpoint-interval", "1s"])
        .arg("--storage-dir")
        .arg(folder.join("rekor"))
        .arg("--signer-filepath")
        .arg(folder.join("rekor.key"));
    Daemon::start(&mut command, &folder.join("rekor.log")).listening(port)
}

fn start_timestamp(program: &Path, folder: &Path, port: u16) -> Daemon {
    let mut command = Command::new(program);
    command
        .args(["serve", "--host", "127.0.0.1", "--port", &port.to_string()])
        .args(["--timestamp-signer", "memory", "--disable-ntp-monitoring"]);
    Daemon::start(&mut command, &folder.join("timestamp.log")).listening(port)
}

/// Keeps the answer of a service. It may listen before it answers.
fn fetch(port: u16, path: &str, into: &Path) {
    let url = format!("http://127.0.0.1:{port}/{path}");
    for _ in 0..100 {
        if let Ok(mut response) = ureq::get(&url).call() {
            let body = response.body_mut().read_to_vec().expect("an answer");
            return fs_err::write(into, body).expect("a file of the test");
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("{url} does not answer");
}

/// Writes the signing configuration and the trusted root, with cosign.
fn describe(cosign: &Path, folder: &Path, ports: &Ports) {
    let Ports {
        fulcio,
        rekor,
        timestamp,
    } = ports;
    let (fulcio, rekor) = (
        format!("url=http://127.0.0.1:{fulcio}"),
        format!("url=http://127.0.0.1:{rekor}"),
    );
    let timestamp = format!("url=http://127.0.0.1:{timestamp}/api/v1/timestamp");
    let run = |arguments: &[&str]| {
        let mut command = Command::new(cosign);
        drop(Output::of(command.args(arguments).current_dir(folder).env("HOME", folder)).ok());
    };
    let version = |version: u32| format!(",api-version={version},{SINCE},operator=test");
    run(&[
        "signing-config",
        "create",
        "--fulcio",
        &(fulcio.clone() + &version(1)),
        "--rekor",
        &(rekor.clone() + &version(2)),
        "--rekor-config",
        "ANY",
        "--tsa",
        &(timestamp.clone() + &version(1)),
        "--tsa-config",
        "ANY",
        "--out",
        "signing-config.json",
    ]);
    run(&[
        "trusted-root",
        "create",
        "--fulcio",
        &format!("{fulcio},certificate-chain=fulcio.pem,{SINCE}"),
        "--rekor",
        &format!("{rekor},public-key=rekor.pub,{SINCE},origin=127.0.0.1"),
        "--tsa",
        &format!("{timestamp},certificate-chain=timestamp.pem,{SINCE}"),
        "--out",
        "trusted-root.json",
    ]);
}
