//! Pulls from registries that lie, stall, flood or fail: each ends in a clear error, and the store is as before.
#![allow(clippy::unwrap_used, reason = "tests")]

mod fixture;
mod server;

use std::sync::atomic::{AtomicUsize, Ordering};

use dunlin_models::manifest::Index;
use dunlin_models::registry::{PullError, PullOptions, Registry, TransportError};
use dunlin_models::store::StoreError;
use dunlin_models::verify::Verdict;
use dunlin_models::{Descriptor, Digest, Verifier, media_type};
use fixture::{ingest_files, policy, reference, store};
use server::published::{config, failure, impatient, outcome, outcome_with, published, pull};
use server::{Content, Reply, Request, Server};

#[tokio::test]
async fn an_honest_registry() {
    let published = published();
    let content = published.content.clone();
    let server = Server::start(move |request| content.answer(request)).await;
    let (_folder, store) = store();
    let report = pull(&server, &store, &published.key).await.unwrap();
    assert_eq!(*report.descriptor, published.root);
    assert_eq!((report.fetched, report.reused, report.signatures), (2, 0, 1));
    let again = pull(&server, &store, &published.key).await.unwrap();
    assert_eq!((again.fetched, again.reused, again.bytes), (0, 2, 0));
    assert_eq!(server.count(&format!("blobs/{}", published.layer)), 1);
    // Offline, from the store alone.
    let name = reference(&format!("{}/demo/echo:v1", server.host));
    let descriptor = store.resolve(&name).unwrap();
    let verdict = Verifier::new(policy(&published.key))
        .verify(&store, &name, &descriptor)
        .unwrap();
    assert!(matches!(verdict.verdict(), Verdict::Signed { .. }));
}

#[tokio::test]
async fn wrong_bytes_are_never_kept() {
    let published = published();
    let path = format!("blobs/{}", published.layer);
    let mut content = published.content.clone();
    content.set(&path, Reply::ok(b"\0asm\x01\0\0\x01"));
    let error = failure(content, &published.key).await;
    assert!(
        matches!(&error, PullError::Keep { digest, source: StoreError::DigestMismatch { .. } } if *digest == published.layer),
        "{error:?}"
    );
}

#[tokio::test]
async fn endless_long_and_short_bodies() {
    let published = published();
    let path = format!("blobs/{}", published.layer);
    let fail = async |reply: Reply| {
        let mut content = published.content.clone();
        content.set(&path, reply);
        let error = failure(content, &published.key).await;
        let PullError::Blob { digest, source } = error else {
            panic!("{error:?}")
        };
        assert_eq!(digest, published.layer);
        source
    };
    assert!(matches!(
        fail(Reply::Endless).await,
        TransportError::TooLong { limit: 8, .. }
    ));
    assert!(matches!(
        fail(Reply::ok(&[0; 9])).await,
        TransportError::TooLong { limit: 8, .. }
    ));
    let short = fail(Reply::Short(8, b"\0asm".to_vec())).await;
    assert!(matches!(short, TransportError::Request { .. }), "{short:?}");
    let less = fail(Reply::ok(b"\0asm")).await;
    assert!(
        matches!(
            less,
            TransportError::TooShort {
                expected: 8,
                received: 4,
                ..
            }
        ),
        "{less:?}"
    );
    let mut silent = published.content.clone();
    silent.set(&path, Reply::Silent);
    let error = outcome_with(impatient(), silent, &published.key).await.0.unwrap_err();
    assert!(
        matches!(
            &error,
            PullError::Blob {
                source: TransportError::Stalled { .. },
                ..
            }
        ),
        "{error:?}"
    );
    assert!(matches!(
        fail(Reply::status(404)).await,
        TransportError::Status { status: 404, .. }
    ));
}

#[tokio::test]
async fn passing_failures_are_retried() {
    for reply in [
        Reply::status(500),
        Reply::status(503),
        Reply::Short(8, b"\0as".to_vec()),
        Reply::with(429, "retry-after", "0"),
        Reply::with(429, "retry-after", "Sun, 06 Nov 1994 08:49:37 GMT"),
    ] {
        let published = published();
        let content = published.content.clone();
        let (failures, part) = (AtomicUsize::new(0), published.layer.to_string());
        let answer = move |request: &Request| {
            let fails = request.path.contains(&part) && failures.fetch_add(1, Ordering::SeqCst) < 2;
            if fails { reply.clone() } else { content.answer(request) }
        };
        let server = Server::start(answer).await;
        let (_folder, store) = store();
        pull(&server, &store, &published.key).await.unwrap();
        assert_eq!(server.count(&published.layer.to_string()), 3);
        assert_eq!(ingest_files(&store), Vec::<String>::new());
    }
}

#[tokio::test]
async fn lasting_failures_end() {
    let published = published();
    let mut content = published.content.clone();
    content.set("manifests/v1", Reply::with(429, "retry-after", "0"));
    let (result, server) = outcome(content, &published.key).await;
    let error = result.unwrap_err();
    assert!(matches!(
        &error,
        PullError::Manifest {
            source: TransportError::Status { status: 429, .. },
            ..
        }
    ));
    assert!(error.hint().is_some());
    assert_eq!(server.count("manifests/v1"), 3);
    let mut content = published.content.clone();
    content.set("manifests/v1", Reply::status(403));
    let (result, server) = outcome(content, &published.key).await;
    let error = result.unwrap_err();
    let source = std::error::Error::source(&error).unwrap();
    assert!(source.to_string().contains("TEST told to fail"), "{source}");
    assert_eq!(server.count("manifests/v1"), 1);
}

#[tokio::test]
async fn hostile_manifests() {
    let published = published();
    let fail = async |reply: Reply| {
        let mut content = published.content.clone();
        content.set("manifests/v1", reply);
        failure(content, &published.key).await
    };
    for reply in [
        Reply::Endless,
        Reply::ok(&vec![b' '; (4 << 20) + 1]),
        Reply::Short(1 << 40, Vec::new()),
    ] {
        let error = fail(reply).await;
        assert!(
            matches!(
                &error,
                PullError::Manifest {
                    source: TransportError::TooLong { .. },
                    ..
                }
            ),
            "{error:?}"
        );
    }
    for body in ["", "<html>", "{}", "{\"schemaVersion\":1}"] {
        assert!(
            matches!(fail(Reply::ok(body.as_bytes())).await, PullError::NotAManifest { .. }),
            "{body}"
        );
    }
    let bytes = published.store.read_document(&published.root).unwrap();
    let lying = Reply::Whole(
        200,
        vec![("docker-content-digest", Digest::of(b"x").to_string())],
        bytes.clone(),
    );
    assert!(matches!(fail(lying).await, PullError::WrongManifest { .. }));
    let confused = Reply::Whole(200, vec![("content-type", media_type::INDEX.to_owned())], bytes);
    assert!(matches!(fail(confused).await, PullError::NotAManifest { .. }));
    assert!(matches!(fail(Reply::status(404)).await, PullError::Manifest { .. }));
}

#[tokio::test]
async fn a_pinned_name_gets_its_digest_or_nothing() {
    let published = published();
    let mut content = published.content.clone();
    let other = fixture::model(&published.store);
    let bytes = published.store.read_document(&other).unwrap();
    content.set(&format!("manifests/{}", published.root.digest), Reply::ok(&bytes));
    let server = Server::start(move |request| content.answer(request)).await;
    let (_folder, store) = store();
    let name = reference(&format!("{}/demo/echo@{}", server.host, published.root.digest));
    let verifier = Verifier::new(policy(&published.key));
    let result = Registry::new(config())
        .unwrap()
        .pull(&store, &name, &verifier, PullOptions::default())
        .await;
    assert!(matches!(result, Err(PullError::WrongManifest { found, .. }) if found == other.digest));
}

#[tokio::test]
async fn indexes_that_lie_or_nest() {
    let publisher = published();
    let make = |entries: Vec<Descriptor>| {
        let bytes = serde_json::to_vec(&Index::new(entries)).unwrap();
        let root = publisher.store.put_bytes(media_type::INDEX, &bytes).unwrap();
        fixture::sign(&publisher.store, &root, &publisher.key);
        (Content::of(&publisher.store, &root), root)
    };
    let (good, inner) = make(vec![publisher.root.clone()]);
    outcome(good.clone(), &publisher.key).await.0.unwrap();
    let (nested, _) = make(vec![inner]);
    assert!(matches!(
        failure(nested, &publisher.key).await,
        PullError::NestedIndex { .. }
    ));
    let mut lying = good;
    let other = publisher
        .store
        .read_document(&fixture::model(&publisher.store))
        .unwrap();
    let cut = other
        .get(..usize::try_from(publisher.root.size).unwrap().min(other.len()))
        .unwrap()
        .to_vec();
    lying.set(&format!("manifests/{}", publisher.root.digest), Reply::ok(&cut));
    assert!(matches!(failure(lying, &publisher.key).await, PullError::Pin { .. }));
    let huge = Descriptor {
        size: u64::MAX,
        ..publisher.root.clone()
    };
    let (huge, _) = make(vec![huge]);
    assert!(matches!(
        failure(huge, &publisher.key).await,
        PullError::TooLarge { .. }
    ));
}

#[tokio::test]
async fn the_callers_limit_holds() {
    let published = published();
    let server = Server::start(move |request| published.content.answer(request)).await;
    let (_folder, store) = store();
    let name = reference(&format!("{}/demo/echo:v1", server.host));
    let options = PullOptions {
        max_bytes: Some(10),
        ..PullOptions::default()
    };
    let verifier = Verifier::new(policy(&published.key));
    let result = Registry::new(config())
        .unwrap()
        .pull(&store, &name, &verifier, options)
        .await;
    assert!(matches!(result, Err(PullError::TooLarge { limit: 10, .. })));
    assert_eq!(server.count(&published.layer.to_string()), 0);
}

#[tokio::test]
async fn local_names_and_dead_hosts() {
    let (_folder, store) = store();
    let registry = Registry::new(config()).unwrap();
    let verifier = Verifier::deny_all();
    let pull = async |name: &str| {
        registry
            .pull(&store, &reference(name), &verifier, PullOptions::default())
            .await
    };
    assert!(matches!(pull("demo/echo:v1").await, Err(PullError::NoRegistry { .. })));
    let error = pull("127.0.0.1:1/demo/echo:v1").await.unwrap_err();
    assert!(
        matches!(
            &error,
            PullError::Manifest {
                source: TransportError::Request { .. },
                ..
            }
        ),
        "{error:?}"
    );
    assert!(error.hint().unwrap().contains("--plain-http"));
}
