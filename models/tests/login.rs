//! Credentials: sent where they belong, never after a redirect, and not to realms that make no sense.
#![allow(clippy::unwrap_used, reason = "tests")]

mod fixture;
mod server;

use std::collections::BTreeMap;

use dunlin_models::registry::{Credential, CredentialSource, PullError, PullReport, RegistryConfig, TransportError};
use fixture::store;
use server::published::{config, outcome, published, pull_with};
use server::{Reply, Server};

fn with_password(server: &str) -> RegistryConfig {
    let password = Credential::Password {
        username: "user".to_owned(),
        password: "secret".to_owned(),
    };
    let credentials = CredentialSource::Explicit(BTreeMap::from([(server.to_owned(), password)]));
    RegistryConfig {
        credentials,
        ..config()
    }
}

#[tokio::test]
async fn redirects_are_followed_without_credentials_and_not_for_ever() {
    let published = published();
    let blob = format!("/v2/demo/echo/blobs/{}", published.layer);
    let (content, path) = (published.content.clone(), blob.clone());
    let storage = Server::start(move |request| content.answer(request)).await;
    let (content, target) = (published.content.clone(), format!("http://{}{blob}", storage.host));
    let server = Server::start(move |request| match &request.authorization {
        None => Reply::with(401, "www-authenticate", "Basic realm=\"test\""),
        Some(_) if request.path == path => Reply::with(307, "location", &target),
        Some(_) => content.answer(request),
    })
    .await;
    let (_folder, store) = store();
    pull_with(with_password(&server.host), &server, &store, &published.key)
        .await
        .unwrap();
    assert_eq!(storage.log().len(), 1);
    assert!(storage.log()[0].authorization.is_none());
    let expected = "Basic dXNlcjpzZWNyZXQ=";
    assert!(
        server
            .log()
            .iter()
            .any(|request| request.authorization.as_deref() == Some(expected))
    );

    let mut content = published.content.clone();
    content.0.insert(blob.clone(), Reply::with(307, "location", &blob));
    let (result, server) = outcome(content, &published.key).await;
    assert!(matches!(
        result,
        Err(PullError::Blob {
            source: TransportError::Request { .. },
            ..
        })
    ));
    assert!(server.count(&blob) <= 7, "{}", server.count(&blob));
}

#[tokio::test]
async fn tokens_are_fetched_once_and_their_realm_is_not_trusted() {
    let published = published();
    let run = async |token: &'static str, realm: Option<&'static str>| {
        let content = published.content.clone();
        let own = std::sync::Arc::new(std::sync::OnceLock::new());
        let host: std::sync::Arc<std::sync::OnceLock<String>> = std::sync::Arc::clone(&own);
        let server = Server::start(move |request| {
            if request.path.starts_with("/token") {
                return Reply::ok(token.as_bytes());
            }
            if request.authorization.as_deref() == Some("Bearer good") {
                return content.answer(request);
            }
            let realm = realm.map_or_else(|| format!("http://{}/token", host.get().unwrap()), str::to_owned);
            Reply::with(
                401,
                "www-authenticate",
                &format!("Bearer realm=\"{realm}\",service=\"s\""),
            )
        })
        .await;
        own.set(server.host.clone()).unwrap();
        let (_folder, store) = store();
        let result = pull_with(with_password(&server.host), &server, &store, &published.key).await;
        (result, server)
    };
    let (result, server) = run("{\"token\":\"good\"}", None).await;
    result.unwrap();
    assert_eq!(server.count("/token"), 1);
    let token = server
        .log()
        .into_iter()
        .find(|request| request.path.starts_with("/token"))
        .unwrap();
    assert!(
        token.path.contains("scope=repository%3Ademo%2Fecho%3Apull"),
        "{}",
        token.path
    );
    assert_eq!(token.authorization.as_deref(), Some("Basic dXNlcjpzZWNyZXQ="));

    let refused = |result: Result<PullReport, PullError>| match result {
        Err(PullError::Manifest { source, .. }) => source,
        other => panic!("{other:?}"),
    };
    let (result, _) = run("{\"token\":\"bad\"}", None).await;
    assert!(matches!(refused(result), TransportError::Unauthorized { .. }));
    for token in ["{\"token\":\"line\\nbreak\"}", "{}", "nonsense"] {
        let (result, _) = run(token, None).await;
        assert!(
            matches!(refused(result), TransportError::Authentication { .. }),
            "{token}"
        );
    }
    for realm in ["nonsense", "ftp://127.0.0.1/token", "file:///etc/passwd"] {
        let (result, _) = run("{\"token\":\"good\"}", Some(realm)).await;
        assert!(
            matches!(refused(result), TransportError::Authentication { .. }),
            "{realm}"
        );
    }
}
