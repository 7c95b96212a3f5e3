//! TLS and logins of distribution's registry: [`Guard`].

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::json;

use super::realm::TokenRealm;
use crate::{Output, program};

/// The user whom a registry with a login knows.
pub const USER: &str = "alice";
/// The user's password.
pub const PASSWORD: &str = "correct-horse";
/// The user and the password as the registry takes them: bcrypt, at its lowest cost.
const HTPASSWD: &str = "alice:$2b$04$abcdefghijklmnopqrstuuPoaPXzWjiVz4HaNq2LJXksWbO79E.S6\n";

/// How a registry asks who one is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Login {
    /// It does not.
    #[default]
    Nobody,
    /// `WWW-Authenticate: Basic`.
    Password,
    /// `WWW-Authenticate: Bearer`, with a realm that gives tokens for the user's password; behind TLS if the registry is.
    Token,
    /// The same, with a realm that never has TLS.
    TokenInClear,
}

/// What stands between a registry and its clients.
#[derive(Debug, Clone, Copy, Default)]
pub struct Guard {
    /// A certificate of an authority that nobody knows.
    pub tls: bool,
    /// Whom it serves.
    pub login: Login,
}

pub(super) struct Prepared {
    /// What comes after `http.addr` in the configuration.
    pub(super) settings: String,
    pub(super) authority: Option<PathBuf>,
    pub(super) realm: Option<TokenRealm>,
}

impl Guard {
    pub(super) fn prepare(self, folder: &Path) -> Option<Prepared> {
        let mut settings = String::new();
        let mut authority = None;
        let (certificate, key) = (folder.join("server.pem"), folder.join("server.key"));
        if self.tls {
            authority = Some(certificates(folder)?);
            settings += &format!(
                "  tls: {{ certificate: {}, key: {} }}\n",
                certificate.display(),
                key.display()
            );
        }
        let mut realm = None;
        match self.login {
            Login::Nobody => {}
            Login::Password => {
                let file = folder.join("htpasswd");
                fs_err::write(&file, HTPASSWD).expect("a file of passwords");
                settings += &format!("auth: {{ htpasswd: {{ realm: test, path: {} }} }}\n", file.display());
            }
            Login::Token | Login::TokenInClear => {
                let secure = self.tls && self.login == Login::Token;
                let started = TokenRealm::start(secure.then_some((&certificate, &key)));
                settings += &started.settings(folder);
                realm = Some(started);
            }
        }
        Some(Prepared {
            settings,
            authority,
            realm,
        })
    }
}

/// Writes the configuration that distribution 2 and 3 share, and returns its path.
pub(super) fn configuration(folder: &Path, port: u16, settings: &str) -> PathBuf {
    let data = folder.join("data");
    let text = format!(
        "version: 0.1\nlog: {{ level: error }}\nstorage:\n  filesystem: {{ rootdirectory: {} }}\n  delete: {{ enabled: true }}\nhttp:\n  addr: \"127.0.0.1:{port}\"\n{settings}",
        data.display()
    );
    let path = folder.join("config.yml");
    fs_err::write(&path, text).expect("the registry's configuration");
    path
}

/// Makes an authority and the server's certificate for 127.0.0.1; returns the authority's.
fn certificates(folder: &Path) -> Option<PathBuf> {
    if !program("openssl") {
        return None;
    }
    let openssl = |arguments: &str| {
        let mut command = Command::new("openssl");
        drop(Output::of(command.args(arguments.split(' ')).current_dir(folder)).ok());
    };
    fs_err::write(folder.join("names"), "subjectAltName=IP:127.0.0.1,DNS:localhost\n").expect("a file of names");
    openssl("req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=test-authority -keyout ca.key -out ca.pem");
    openssl("req -new -newkey rsa:2048 -nodes -subj /CN=test-server -keyout server.key -out server.csr");
    openssl("x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out server.pem");
    Some(folder.join("ca.pem"))
}

/// Writes docker's `config.json` with one login into `folder`, for `DOCKER_CONFIG`.
///
/// # Panics
/// It cannot be written.
pub fn docker_config(folder: &Path, host: &str, user: &str, password: &str) {
    let auth = BASE64_STANDARD.encode(format!("{user}:{password}"));
    let config = json!({ "auths": { host: { "auth": auth } } });
    fs_err::create_dir_all(folder).expect("a folder of the test");
    fs_err::write(folder.join("config.json"), config.to_string()).expect("a docker configuration");
}
