//! Verification at a registry without pulling, and signatures under legacy tags on their way through pull, push and copy.
#![allow(clippy::unwrap_used, reason = "tests")]

mod fixture;
mod server;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dunlin_models::manifest::{Index, Manifest};
use dunlin_models::registry::{CopyOptions, PullError, PushOptions, Registry};
use dunlin_models::{Digest, Verifier, media_type};
use fixture::{policy, reference, store};
use server::depot::{Depot, Habits};
use server::published::{Published, config, published, pull};
use server::{Reply, Server};

#[tokio::test]
async fn only_manifest_and_signatures_are_fetched() {
    let published = published();
    let content = published.content.clone();
    let server = Server::start(move |request| content.answer(request)).await;
    let registry = Registry::new(config()).unwrap();
    let name = reference(&format!("{}/demo/echo:v1", server.host));
    let verifier = Verifier::new(policy(&published.key));
    let verified = registry.verify(&name, None, &verifier).await.unwrap();
    assert_eq!(verified.digest, published.root.digest);
    registry
        .verify(&name, Some(published.root.digest), &verifier)
        .await
        .unwrap();
    assert_eq!(server.count(&published.layer.to_string()), 0);
    let other = registry.verify(&name, Some(Digest::of(b"other")), &verifier).await;
    assert!(matches!(other, Err(PullError::Manifest { .. })), "{other:?}");
    let stranger = Verifier::new(policy(&fixture::key()));
    let refused = registry.verify(&name, None, &stranger).await;
    assert!(matches!(refused, Err(PullError::Refused { .. })), "{refused:?}");
    let explained = registry.explain(&name, None, &stranger).await.unwrap();
    assert!(!explained.admitted && explained.candidates.len() == 1, "{explained:?}");
}

/// Has the registry serve a legacy signature by the publisher's key, and nothing among the referrers.
fn with_legacy_tag(published: &mut Published) -> String {
    let payload = dunlin_test_pki::simple_signing(published.root.digest.as_bytes());
    let signature = STANDARD.encode(published.key.sign(&payload).unwrap());
    let store = &published.store;
    let layer = store
        .put_bytes("application/vnd.dev.cosign.simplesigning.v1+json", &payload)
        .unwrap();
    let layer = layer.annotated("dev.cosignproject.cosign/signature", &signature);
    let config = store.put_bytes(media_type::IMAGE_CONFIG, b"{\"config\":{}}").unwrap();
    for (blob, bytes) in [(&layer, payload.as_slice()), (&config, b"{\"config\":{}}")] {
        published
            .content
            .set(&format!("blobs/{}", blob.digest), Reply::ok(bytes));
    }
    let manifest = serde_json::to_vec(&Manifest::new(config, vec![layer])).unwrap();
    let tag = format!("{}.sig", published.root.digest.referrers_tag());
    let headers = vec![("content-type", media_type::MANIFEST.to_owned())];
    published
        .content
        .set(&format!("manifests/{tag}"), Reply::Whole(200, headers, manifest));
    let none = serde_json::to_vec(&Index::new(Vec::new())).unwrap();
    published
        .content
        .set(&format!("referrers/{}", published.root.digest), Reply::ok(&none));
    tag
}

#[tokio::test]
async fn legacy_tags_are_pulled_pushed_and_copied() {
    let mut published = published();
    let tag = with_legacy_tag(&mut published);
    let content = published.content.clone();
    let server = Server::start(move |request| content.answer(request)).await;
    let (_folder, store) = store();
    pull(&server, &store, &published.key).await.unwrap();
    let local = reference(&format!("{}/demo/echo:v1", server.host));
    let verifier = Verifier::new(policy(&published.key));
    verifier.verify(&store, &local, &published.root).unwrap();
    assert_eq!(store.list().unwrap().len(), 1);

    let depot = Depot::start(Habits::default()).await;
    let registry = Registry::new(config()).unwrap();
    let remote = reference(&format!("{}/a/b:v1", depot.server.host));
    let report = registry
        .push(&store, &local, &remote, PushOptions::default())
        .await
        .unwrap();
    assert_eq!(report.referrers, 1);
    assert_eq!(
        depot.manifest("a/b", &tag).unwrap(),
        published.content.body(&format!("/v2/demo/echo/manifests/{tag}"))
    );

    let copy = reference(&format!("{}/c/d:v1", depot.server.host));
    let report = registry.copy(&remote, &copy, CopyOptions::default()).await.unwrap();
    assert_eq!(report.referrers, 1);
    registry.verify(&copy, None, &verifier).await.unwrap();
}
