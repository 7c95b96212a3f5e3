//! [`TokenRealm`]: who gives the tokens that a registry with bearer authentication asks for.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use super::{PASSWORD, USER};
use crate::{Asked, TokenSigner, Web};

const SERVICE: &str = "test-registry";
const ISSUER: &str = "test-realm";

/// A realm that gives a token to the one user, and nothing to anybody else.
#[derive(Debug)]
pub(super) struct TokenRealm {
    web: Web,
    keys: Value,
    logins: Arc<AtomicUsize>,
}

impl TokenRealm {
    /// Starts it, behind TLS where there are files with its certificate and key.
    pub(super) fn start(tls: Option<(&Path, &Path)>) -> Self {
        let signer = TokenSigner::new();
        let keys = signer.key_set();
        let logins = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&logins);
        let answer = move |_: &str, asked: &Asked| {
            if asked.authorization.is_some() {
                counted.fetch_add(1, Ordering::Relaxed);
            }
            answer(&signer, asked)
        };
        let web = match tls {
            Some((certificate, key)) => Web::serve_tls(certificate, key, answer),
            None => Web::serve(answer),
        };
        Self { web, keys, logins }
    }

    /// How often somebody has shown a password.
    pub(super) fn logins(&self) -> usize {
        self.logins.load(Ordering::Relaxed)
    }

    /// The part of the registry's configuration that trusts this realm.
    pub(super) fn settings(&self, folder: &Path) -> String {
        let keys = folder.join("jwks.json");
        fs_err::write(&keys, self.keys.to_string()).expect("a key set");
        format!(
            "auth:\n  token:\n    realm: {}/token\n    service: {SERVICE}\n    issuer: {ISSUER}\n    jwks: {}\n    signingalgorithms: [RS256]\n",
            self.web.url(),
            keys.display()
        )
    }
}

fn answer(signer: &TokenSigner, asked: &Asked) -> (u16, Value) {
    let expected = format!("Basic {}", BASE64_STANDARD.encode(format!("{USER}:{PASSWORD}")));
    if asked.authorization.as_deref() != Some(&expected) {
        return (
            401,
            json!({ "errors": [{ "code": "UNAUTHORIZED", "message": "who are you?" }] }),
        );
    }
    let token = signer.token(json!({
        "iss": ISSUER,
        "aud": SERVICE,
        "sub": USER,
        "jti": "1",
        "access": access(&asked.target),
    }));
    (200, json!({ "token": token, "expires_in": 600 }))
}

/// `scope=repository:<name>:<actions>` of a query, as the claim that grants it.
fn access(target: &str) -> Vec<Value> {
    let query = target.split_once('?').map_or("", |(_, query)| query);
    let scopes = query.split('&').filter_map(|pair| pair.strip_prefix("scope="));
    let granted = scopes.flat_map(|scope| {
        let scope = scope.replace("%3A", ":").replace("%2F", "/").replace("%2C", ",");
        scope.split(['+', ' ']).map(str::to_owned).collect::<Vec<_>>()
    });
    granted
        .filter_map(|scope| {
            let (kind, rest) = scope.split_once(':')?;
            let (name, actions) = rest.rsplit_once(':')?;
            Some(json!({ "type": kind, "name": name, "actions": actions.split(',').collect::<Vec<_>>() }))
        })
        .collect()
}
