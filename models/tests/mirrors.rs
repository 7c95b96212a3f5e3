//! Mirrors and peers: they may be dead, empty, or lie, and none of it matters. Credentials: who gets which.
#![allow(clippy::unwrap_used, reason = "tests")]

mod fixture;
mod server;

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use dunlin_models::registry::{
    Credential, CredentialSource, Links, MirrorEndpoint, MirrorRule, ProxyConfig, PullError, PullOptions, Registry,
    RegistryConfig, TransportError,
};
use dunlin_models::{Reference, Verifier};
use fixture::{policy, reference, store};
use server::published::{Published, config, published, published_model, pull_with};
use server::{Content, Reply, Server};

fn mirrored(hosts: &[(&str, bool)]) -> RegistryConfig {
    let endpoints = hosts.iter().map(|(host, resolve)| MirrorEndpoint {
        plain_http: true,
        resolve: *resolve,
        ..MirrorEndpoint::new(host)
    });
    RegistryConfig {
        mirrors: vec![MirrorRule {
            registry: "*".to_owned(),
            endpoints: endpoints.collect(),
        }],
        ..config()
    }
}

async fn serving(content: &Content) -> Server {
    let content = content.clone();
    Server::start(move |request| content.answer(request)).await
}

/// A mirror that has the blobs, one of them with a flipped bit.
async fn liar(published: &Published) -> Server {
    let mut content = published.content.clone();
    let mut wrong = content.body(&published.layer_path()).to_vec();
    *wrong.last_mut().unwrap() ^= 1;
    content.set(&format!("blobs/{}", published.layer), Reply::ok(&wrong));
    serving(&content).await
}

#[tokio::test]
async fn blobs_come_from_the_mirror_and_names_from_the_origin() {
    let published = published_model(3 << 20);
    let (origin, mirror) = (serving(&published.content).await, serving(&published.content).await);
    let (_folder, store) = store();
    pull_with(mirrored(&[(&mirror.host, false)]), &origin, &store, &published.key)
        .await
        .unwrap();
    assert_eq!(
        origin.count("/blobs/"),
        2,
        "the signature's blobs only: {:?}",
        origin.log()
    );
    assert_eq!(origin.count(&published.layer.to_string()), 0);
    assert_eq!(mirror.count("manifests/v1"), 0);
    assert!(mirror.count(&published.layer.to_string()) > 0);
}

#[tokio::test]
async fn dead_empty_and_lying_mirrors_do_not_matter() {
    let published = published_model(3 << 20);
    let origin = serving(&published.content).await;
    let empty = serving(&Content::default()).await;
    let liar = liar(&published).await;
    let denying = Server::start(|_| Reply::status(403)).await;
    for mirrors in [
        vec![("127.0.0.1:1", false)],
        vec![(empty.host.as_str(), true)],
        vec![(denying.host.as_str(), true)],
        vec![(liar.host.as_str(), false)],
        vec![("127.0.0.1:1", true), (&empty.host, true), (&liar.host, false)],
    ] {
        let (_folder, store) = store();
        let report = pull_with(mirrored(&mirrors), &origin, &store, &published.key).await;
        assert_eq!(report.unwrap().fetched, 2, "{mirrors:?}");
        let blob = fs_err::read(store.root().join("blobs/sha256").join(published.layer.hex())).unwrap();
        assert!(blob == published.content.body(&published.layer_path()));
    }
    assert!(liar.count(&published.layer.to_string()) > 0);
}

#[tokio::test]
async fn a_peer_that_may_resolve_stands_in_for_a_dead_registry() {
    let published = published();
    let peer = serving(&published.content).await;
    let (_folder, store) = store();
    let name = reference("127.0.0.1:1/demo/echo:v1");
    let verifier = Verifier::new(policy(&published.key));
    let pull = async |resolve| {
        let registry = Registry::new(mirrored(&[(&peer.host, resolve)])).unwrap();
        registry.pull(&store, &name, &verifier, PullOptions::default()).await
    };
    assert!(matches!(pull(false).await, Err(PullError::Manifest { .. })));
    assert_eq!(pull(true).await.unwrap().fetched, 2);
}

#[tokio::test]
async fn credentials_of_the_registry_do_not_go_to_its_mirror() {
    let published = published();
    let mirror = serving(&published.content).await;
    let content = published.content.clone();
    let origin = Server::start(move |request| match &request.authorization {
        None => Reply::with(401, "www-authenticate", "Basic realm=\"test\""),
        Some(_) => content.answer(request),
    })
    .await;
    let password = Credential::Password {
        username: "user".to_owned(),
        password: "secret".to_owned(),
    };
    let config = RegistryConfig {
        credentials: CredentialSource::Explicit(BTreeMap::from([(origin.host.clone(), password)])),
        ..mirrored(&[(&mirror.host, true)])
    };
    let (_folder, store) = store();
    pull_with(config, &origin, &store, &published.key).await.unwrap();
    assert!(!mirror.log().is_empty());
    assert!(mirror.log().iter().all(|request| request.authorization.is_none()));
}

#[tokio::test]
async fn a_redirect_cannot_ask_for_credentials() {
    let published = published();
    let bait = Server::start(|request| {
        let realm = format!("Bearer realm=\"http://{}/token\",service=\"s\"", "127.0.0.1:9");
        let _ = request;
        Reply::with(401, "www-authenticate", &realm)
    })
    .await;
    let (content, blob) = (published.content.clone(), published.layer_path());
    let target = format!("http://{}{blob}", bait.host);
    let origin = Server::start(move |request| match &request.authorization {
        None => Reply::with(401, "www-authenticate", "Basic realm=\"test\""),
        Some(_) if request.path == blob => Reply::with(307, "location", &target),
        Some(_) => content.answer(request),
    })
    .await;
    let password = Credential::Password {
        username: "user".to_owned(),
        password: "secret".to_owned(),
    };
    let config = RegistryConfig {
        credentials: CredentialSource::Explicit(BTreeMap::from([(origin.host.clone(), password)])),
        ..config()
    };
    let (_folder, store) = store();
    let error = pull_with(config, &origin, &store, &published.key).await.unwrap_err();
    assert!(
        matches!(
            error,
            PullError::Blob {
                source: TransportError::Status { status: 401, .. },
                ..
            }
        ),
        "{error:?}"
    );
    assert!(bait.log().iter().all(|request| request.authorization.is_none()));
    assert_eq!(bait.log().len(), 1);
}

#[tokio::test]
async fn identity_tokens_are_exchanged() {
    let published = published();
    let content = published.content.clone();
    let host = std::sync::Arc::new(std::sync::OnceLock::<String>::new());
    let own = std::sync::Arc::clone(&host);
    let server = Server::start(move |request| {
        if request.path == "/token" {
            let form = String::from_utf8(request.body.clone()).unwrap();
            let is_right = request.method == "POST"
                && form.contains("grant_type=refresh_token")
                && form.contains("refresh_token=identity")
                && form.contains("service=s")
                && form.contains("scope=repository%3Ademo%2Fecho%3Apull");
            return if is_right {
                Reply::ok(b"{\"access_token\":\"good\"}")
            } else {
                Reply::status(400)
            };
        }
        if request.authorization.as_deref() == Some("Bearer good") {
            return content.answer(request);
        }
        let realm = format!("Bearer realm=\"http://{}/token\",service=\"s\"", own.get().unwrap());
        Reply::with(401, "www-authenticate", &realm)
    })
    .await;
    host.set(server.host.clone()).unwrap();
    let token = Credential::IdentityToken("identity".to_owned());
    let config = RegistryConfig {
        credentials: CredentialSource::Explicit(BTreeMap::from([(server.host.clone(), token)])),
        ..config()
    };
    let (_folder, store) = store();
    pull_with(config, &server, &store, &published.key).await.unwrap();
}

#[tokio::test]
async fn proxies_are_used_for_what_they_are_for() {
    let published = published();
    let content = published.content.clone();
    // A proxy is sent whole URLs.
    let proxy = Server::start(move |request| {
        let path = request
            .path
            .strip_prefix("http://registry.invalid")
            .unwrap_or("/outside")
            .to_owned();
        content.answer(&server::Request {
            path,
            ..request.clone()
        })
    })
    .await;
    let name = reference("registry.invalid/demo/echo:v1");
    let verifier = Verifier::new(policy(&published.key));
    let pull = async |proxy: ProxyConfig| {
        let config = RegistryConfig {
            plain_http: ["registry.invalid".to_owned()].into(),
            proxy,
            ..config()
        };
        assert!(!format!("{config:?}").contains("secret"));
        let (_folder, store) = store();
        let registry = Registry::new(config).unwrap();
        registry.pull(&store, &name, &verifier, PullOptions::default()).await
    };
    let http = Some(format!("http://user:secret@{}", proxy.host));
    let used = ProxyConfig {
        http: http.clone(),
        ..ProxyConfig::default()
    };
    pull(used).await.unwrap();
    let seen = proxy.log().len();
    assert!(seen > 0);
    for other in [
        ProxyConfig {
            https: http.clone(),
            ..ProxyConfig::default()
        },
        ProxyConfig {
            http,
            exclude: Some("example.org,.invalid".to_owned()),
            ..ProxyConfig::default()
        },
    ] {
        assert!(matches!(pull(other).await, Err(PullError::Manifest { .. })));
    }
    assert_eq!(proxy.log().len(), seen);
}

/// Tells the child process of the test below which registry to ask for.
const CHILD_CONFIG: &str = "DUNLIN_TEST_DOCKER_CONFIG";

/// Runs itself once more with a `PATH` that has a credential helper.
#[tokio::test]
#[allow(
    clippy::disallowed_methods,
    reason = "the child is told by the environment what to do"
)]
async fn credential_helpers_are_asked() {
    let Some(path) = std::env::var_os(CHILD_CONFIG) else {
        let folder = tempfile::tempdir().unwrap();
        let helper = folder.path().join("docker-credential-dunlintest");
        let script = "#!/bin/sh\nread host\ncase \"$host\" in\n127.*) echo '{\"Username\":\"user\",\"Secret\":\"secret\"}' ;;\n\
                      *) echo 'boom: secret'; exit 1 ;;\nesac\n";
        fs_err::write(&helper, script).unwrap();
        fs_err::set_permissions(&helper, std::fs::Permissions::from_mode(0o755)).unwrap();
        let config = folder.path().join("config.json");
        fs_err::write(&config, "{\"credsStore\":\"dunlintest\"}").unwrap();
        let search = std::env::var("PATH").unwrap_or_default();
        let status = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "credential_helpers_are_asked"])
            .env("PATH", format!("{}:{search}", folder.path().display()))
            .env(CHILD_CONFIG, &config)
            .status();
        assert!(status.unwrap().success());
        return;
    };
    let published = published();
    let content = published.content.clone();
    let server = Server::start(move |request| match request.authorization.as_deref() {
        Some("Basic dXNlcjpzZWNyZXQ=") => content.answer(request),
        _ => Reply::with(401, "www-authenticate", "Basic realm=\"test\""),
    })
    .await;
    let config = RegistryConfig {
        credentials: CredentialSource::DockerConfig(path.into()),
        ..config()
    };
    let (_folder, store) = store();
    pull_with(config.clone(), &server, &store, &published.key)
        .await
        .unwrap();
    let (_, port) = server.host.split_once(':').unwrap();
    let name = reference(&format!("localhost:{port}/demo/echo:v1"));
    let verifier = Verifier::new(policy(&published.key));
    let registry = Registry::new(config).unwrap();
    let error = registry
        .pull(&store, &name, &verifier, PullOptions::default())
        .await
        .unwrap_err();
    let text = format!("{error:?}");
    assert!(text.contains("Helper") && !text.contains("boom"), "{text}");
}

/// A module at `demo/echo:v1` that links a model by digest; the model's own signature is optional.
fn linking(optional: bool, reference: Option<String>, sign_model: bool) -> (Published, dunlin_models::Descriptor) {
    let mut published = published();
    let model = fixture::model(&published.store);
    let link = dunlin_models::artifact::ModelLink {
        name: "default".to_owned(),
        digest: model.digest,
        reference,
        encoding: None,
        optional,
    };
    let spec = dunlin_models::pack::ModuleSpec {
        wasm: fixture::MODULE.to_vec(),
        models: vec![link],
        ..Default::default()
    };
    published.root = dunlin_models::pack::pack_module(&published.store, spec).unwrap();
    fixture::sign(&published.store, &published.root, &published.key);
    if sign_model {
        fixture::sign(&published.store, &model, &published.key);
    }
    published.content = Content::of(&published.store, &published.root);
    (published, model)
}

/// The models that came along, the links without a place, and whether the tag was set.
async fn pull_links(published: &Published, links: Links) -> (Result<(usize, Vec<String>), PullError>, bool) {
    let server = serving(&published.content).await;
    let (_folder, store) = store();
    let name: Reference = reference(&format!("{}/demo/echo:v1", server.host));
    let options = PullOptions {
        links,
        ..PullOptions::default()
    };
    let verifier = Verifier::new(policy(&published.key));
    let registry = Registry::new(config()).unwrap();
    let result = registry.pull(&store, &name, &verifier, options).await;
    let has_tag = store.resolve(&name).is_ok();
    (result.map(|report| (report.linked.len(), report.unresolved)), has_tag)
}

#[tokio::test]
async fn linked_models_come_along() {
    for sign_model in [true, false] {
        let (mut published, model) = linking(false, None, sign_model);
        assert_eq!(pull_links(&published, Links::Required).await.0.unwrap().0, 1);
        assert_eq!(pull_links(&published, Links::None).await.0.unwrap().0, 0);
        published
            .content
            .set(&format!("manifests/{}", model.digest), Reply::status(404));
        let (linked, unresolved) = pull_links(&published, Links::Required).await.0.unwrap();
        assert_eq!((linked, unresolved), (0, vec!["default".to_owned()]));
    }
    let (optional, _) = linking(true, None, false);
    assert_eq!(pull_links(&optional, Links::Required).await.0.unwrap().0, 0);
    assert_eq!(pull_links(&optional, Links::All).await.0.unwrap().0, 1);
}

#[tokio::test]
async fn a_link_that_cannot_be_followed_fails_the_pull() {
    let (published, _) = linking(false, Some("127.0.0.1:1/demo/model:v1".to_owned()), true);
    let (result, has_tag) = pull_links(&published, Links::Required).await;
    assert!(
        matches!(&result, Err(PullError::Link { name, .. }) if name == "default"),
        "{result:?}"
    );
    assert!(!has_tag);
}
