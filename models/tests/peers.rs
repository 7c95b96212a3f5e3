//! Peers: other nodes that serve their stores. They may be dead, slow, empty, or lie; they save the way to the registry,
//! and stand in for it, and nothing is believed because they say so.
#![allow(clippy::unwrap_used, reason = "tests")]

mod fixture;
mod server;

use std::sync::Arc;
use std::time::Duration;

use dunlin_models::registry::{
    MirrorEndpoint, MirrorRule, PeerConfig, PullError, PullOptions, PullReport, Registry, RegistryConfig,
};
use dunlin_models::share::{Ask, Content as Served, Share};
use dunlin_models::{Store, Verifier};
use fixture::{policy, reference, store};
use server::published::{Published, config, published, published_model, pull_with};
use server::{Content, Reply, Request, Server, part};

const MIB: usize = 1 << 20;
/// Nobody listens here.
const DEAD: &str = "127.0.0.1:1";

fn with_peers(hosts: &[&str]) -> RegistryConfig {
    RegistryConfig {
        mirrors: vec![MirrorRule {
            registry: "*".to_owned(),
            endpoints: hosts.iter().map(|host| MirrorEndpoint::peer(host, true)).collect(),
        }],
        ..config()
    }
}

/// For peers that are meant to stall.
fn impatient(hosts: &[&str]) -> RegistryConfig {
    RegistryConfig {
        peers: PeerConfig {
            patience: Duration::from_millis(300),
            ..PeerConfig::default()
        },
        ..with_peers(hosts)
    }
}

async fn serving(content: &Content) -> Server {
    let content = content.clone();
    Server::start(move |request| content.answer(request)).await
}

/// A peer of ours: the store of who pulled the artifact, served as it is served by a node.
async fn node(store: &Store, published: &Published) -> Server {
    let share = Arc::new(Share::new(store.clone(), Verifier::new(policy(&published.key))));
    Server::start(move |request: &Request| {
        let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
        let answer = share.answer(&Ask {
            method: &request.method,
            path,
            query,
            range: None,
        });
        let body = match answer.content {
            Served::Empty => Vec::new(),
            Served::Bytes(bytes) => bytes,
            Served::File { mut file, .. } => {
                let mut bytes = Vec::new();
                std::io::Read::read_to_end(&mut file, &mut bytes).unwrap();
                bytes
            }
        };
        let headers = answer.headers.into_iter().filter(|(name, _)| *name != "content-length");
        match request.range {
            Some((first, last)) if answer.status == 200 => part(&body, first, last),
            _ => Reply::Whole(answer.status, headers.collect(), body),
        }
    })
    .await
}

fn assert_has(store: &Store, published: &Published) {
    let blob = fs_err::read(store.root().join("blobs/sha256").join(published.layer.hex())).unwrap();
    assert!(blob == published.content.body(&published.layer_path()));
}

/// What the origin sent of the layer.
fn asked(server: &Server, published: &Published) -> usize {
    server.count(&published.layer.to_string())
}

#[tokio::test]
async fn blobs_come_from_another_node_and_names_from_the_registry() {
    let published = published_model(3 * MIB);
    let origin = serving(&published.content).await;
    let (_first, first) = store();
    pull_with(config(), &origin, &first, &published.key).await.unwrap();
    let peer = node(&first, &published).await;
    let before = asked(&origin, &published);
    let (_second, second) = store();
    pull_with(with_peers(&[&peer.host]), &origin, &second, &published.key)
        .await
        .unwrap();
    assert_has(&second, &published);
    assert_eq!(asked(&origin, &published), before, "the registry was spared");
    assert!(asked(&peer, &published) > 0);
    assert_eq!(peer.count("manifests/v1"), 0);
    let told = format!("ns={}", origin.host.replace(':', "%3A"));
    assert!(
        peer.log().iter().all(|request| request.path.contains(&told)),
        "{:?}",
        peer.log()
    );
}

#[tokio::test]
async fn bad_peers_do_not_matter() {
    let published = published_model(3 * MIB);
    let origin = serving(&published.content).await;
    let path = published.layer_path();
    let truth = published.content.body(&path).to_vec();
    let empty = serving(&Content::default()).await;
    let liar = {
        let mut content = published.content.clone();
        let mut wrong = truth.clone();
        *wrong.last_mut().unwrap() ^= 1;
        content.set(&format!("blobs/{}", published.layer), Reply::ok(&wrong));
        serving(&content).await
    };
    let reply_to_blob = |reply: Reply| {
        let (content, path) = (published.content.clone(), path.clone());
        Server::start(move |request: &Request| match request.plain_path() == path {
            true => reply.clone(),
            false => content.answer(request),
        })
    };
    let silent = reply_to_blob(Reply::Silent).await;
    let hanging = reply_to_blob(Reply::Hang).await;
    let slow = reply_to_blob(Reply::Drip(truth.clone())).await;
    let rangeless = reply_to_blob(Reply::ok(&truth)).await;
    let endless = reply_to_blob(Reply::Endless).await;
    let busy = reply_to_blob(Reply::status(429)).await;
    let cut = reply_to_blob(Reply::Short(truth.len(), truth[..MIB].to_vec())).await;
    for (name, peers) in [
        ("dead", vec![DEAD]),
        ("empty", vec![empty.host.as_str()]),
        ("liar", vec![&liar.host]),
        ("silent", vec![&silent.host]),
        ("hanging", vec![&hanging.host]),
        ("slow", vec![&slow.host]),
        ("rangeless", vec![&rangeless.host]),
        ("endless", vec![&endless.host]),
        ("busy", vec![&busy.host]),
        ("cut", vec![&cut.host]),
        ("many", vec![DEAD, &empty.host, &slow.host, &liar.host]),
    ] {
        let (_folder, store) = store();
        let report = pull_with(impatient(&peers), &origin, &store, &published.key).await;
        assert_eq!(report.unwrap().fetched, 2, "{name}");
        assert_has(&store, &published);
    }
    assert!(asked(&liar, &published) > 0 && asked(&slow, &published) > 0);
    // A peer that has no ranges serves all by itself.
    let before = asked(&origin, &published);
    let (_folder, store) = store();
    pull_with(with_peers(&[&rangeless.host]), &origin, &store, &published.key)
        .await
        .unwrap();
    assert_eq!(asked(&origin, &published), before);
}

#[tokio::test]
async fn a_peer_that_lacks_one_blob_is_asked_for_the_next() {
    let (folder, source) = store();
    let key = fixture::key();
    let names = ["a.gguf", "b.gguf", "c.gguf"];
    let files = names.map(|name| {
        let content = [b"GGUF\x03\0\0\0".as_slice(), name.as_bytes(), &vec![0; MIB]].concat();
        fixture::file(folder.path(), name, &content)
    });
    let spec = dunlin_models::pack::ModelSpec {
        files: files.into(),
        ..Default::default()
    };
    let root = dunlin_models::pack::pack_model(&source, spec, &|_| {}).unwrap();
    fixture::sign(&source, &root, &key);
    let content = Content::of(&source, &root);
    let manifest: serde_json::Value = serde_json::from_slice(&source.read_document(&root).unwrap()).unwrap();
    let layers: Vec<String> = manifest["layers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|layer| layer["digest"].as_str().unwrap().to_owned())
        .collect();
    let origin = serving(&content).await;
    let mut partial = content.clone();
    partial.set(&format!("blobs/{}", layers[0]), Reply::status(404));
    let peer = serving(&partial).await;
    let (_folder, target) = store();
    pull_with(with_peers(&[&peer.host]), &origin, &target, &key)
        .await
        .unwrap();
    assert!(origin.count(&layers[0]) > 0);
    for layer in &layers[1..] {
        assert_eq!(origin.count(layer), 0, "the peer had it");
    }
}

/// Pulls from a registry that nobody can reach.
async fn pull_without_origin(peers: &[&str], store: &Store, verifier: &Verifier) -> Result<PullReport, PullError> {
    let registry = Registry::new(with_peers(peers)).unwrap();
    let name = reference(&format!("{DEAD}/demo/echo:v1"));
    registry.pull(store, &name, verifier, PullOptions::default()).await
}

#[tokio::test]
async fn peers_stand_in_for_a_registry_that_is_gone() {
    let published = published();
    let peer = serving(&published.content).await;
    let empty = serving(&Content::default()).await;
    let trusting = Verifier::new(policy(&published.key));
    let (_folder, kept) = store();
    let report = pull_without_origin(&[&empty.host, &peer.host], &kept, &trusting).await;
    let report = report.unwrap();
    assert_eq!((report.fetched, report.signatures), (2, 1));
    // The policy decides on what a peer says, as on everything.
    let (_folder, refused) = store();
    let other = Verifier::new(policy(&fixture::key()));
    let error = pull_without_origin(&[&peer.host], &refused, &other).await.unwrap_err();
    assert!(matches!(error, PullError::Refused { .. }), "{error:?}");
    assert_eq!(asked(&peer, &published), 1, "by the one who trusts it");
    let error = pull_without_origin(&[&empty.host], &refused, &trusting)
        .await
        .unwrap_err();
    let PullError::Manifest { source, .. } = &error else {
        panic!("{error:?}")
    };
    assert!(
        source.to_string().contains(DEAD),
        "the registry's own failure is told: {source}"
    );
}

#[tokio::test]
async fn peers_do_not_stand_in_for_a_registry_that_answers() {
    let published = published();
    let peer = serving(&published.content).await;
    let origin = serving(&Content::default()).await;
    let (_folder, store) = store();
    let error = pull_with(with_peers(&[&peer.host]), &origin, &store, &published.key).await;
    assert!(matches!(error, Err(PullError::Manifest { .. })));
    assert!(peer.log().is_empty(), "{:?}", peer.log());
}

#[tokio::test]
async fn a_peer_that_recovers_is_asked_again() {
    let published = published_model(2 * MIB);
    let (content, path) = (published.content.clone(), published.layer_path());
    let failures = std::sync::atomic::AtomicUsize::new(0);
    let peer = Server::start(move |request: &Request| {
        let is_blob = request.plain_path() == path;
        match is_blob && failures.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 0 {
            true => Reply::status(503),
            false => content.answer(request),
        }
    })
    .await;
    let (_folder, store) = store();
    let trusting = Verifier::new(policy(&published.key));
    pull_without_origin(&[&peer.host], &store, &trusting).await.unwrap();
    assert_has(&store, &published);
}
