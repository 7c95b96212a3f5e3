//! Pushes and copies: mounting, going on after cut connections, lists of referrers, and registries that overdo it.
#![allow(clippy::unwrap_used, reason = "tests")]

mod fixture;
mod server;

use dunlin_models::registry::{CopyError, CopyOptions, PushError, PushOptions, PushReport, Registry, TransportError};
use dunlin_models::{Descriptor, Digest, media_type};
use fixture::{reference, store};
use server::depot::{Depot, Habits};
use server::published::{Published, config, outcome, published, published_model};
use server::{Reply, Server};

const MIB: usize = 1 << 20;

/// Tags the artifact and pushes it to `repository:v1`.
async fn push_to(depot: &Depot, published: &Published, repository: &str) -> Result<PushReport, PushError> {
    let local = reference("local/app:v1");
    published.store.tag(&local, &published.root).unwrap();
    let remote = reference(&format!("{}/{repository}:v1", depot.server.host));
    let registry = Registry::new(config()).unwrap();
    let options = PushOptions {
        mount_from: vec!["other/place".to_owned()],
        ..PushOptions::default()
    };
    registry.push(&published.store, &local, &remote, options).await
}

fn assert_has_layer(depot: &Depot, published: &Published, repository: &str) {
    let sent = published.content.body(&published.layer_path());
    assert!(depot.blob(repository, &published.layer).unwrap() == sent);
}

#[tokio::test]
async fn blobs_go_in_one_request_and_are_asked_for_first() {
    let depot = Depot::start(Habits::default()).await;
    let published = published_model(2 * MIB);
    let report = push_to(&depot, &published, "a/b").await.unwrap();
    assert_eq!(
        (report.sent, report.reused, report.mounted, report.referrers),
        (2, 0, 0, 1)
    );
    assert_has_layer(&depot, &published, "a/b");
    assert_eq!(depot.count("PATCH", ""), 0);
    // A session begun by a mount that did not work is used, not thrown away: one POST per blob.
    assert_eq!(depot.count("POST", ""), 4);
    let again = push_to(&depot, &published, "a/b").await.unwrap();
    assert_eq!((again.sent, again.reused), (0, 2));
}

#[tokio::test]
async fn blobs_of_other_repositories_are_mounted() {
    let depot = Depot::start(Habits {
        mounts: true,
        ..Habits::default()
    })
    .await;
    let published = published_model(MIB);
    push_to(&depot, &published, "other/place").await.unwrap();
    let report = push_to(&depot, &published, "a/b").await.unwrap();
    assert_eq!((report.sent, report.mounted, report.bytes), (0, 2, 0));
    assert_has_layer(&depot, &published, "a/b");
}

#[tokio::test]
async fn an_interrupted_push_goes_on_where_it_was_acknowledged() {
    let depot = Depot::start(Habits {
        cuts: vec![("PUT", 21 * MIB), ("PATCH", 9 * MIB)],
        min_part: Some(18 * MIB),
        ..Habits::default()
    })
    .await;
    let published = published_model(60 * MIB);
    push_to(&depot, &published, "a/b").await.unwrap();
    assert_has_layer(&depot, &published, "a/b");
    let log = depot.server.log();
    let patches: Vec<_> = log.iter().filter_map(|request| request.content_range.clone()).collect();
    let range = |from: usize, to: usize| format!("{from}-{}", to - 1);
    assert_eq!(
        patches,
        [
            range(21 * MIB, 39 * MIB),
            range(30 * MIB, 48 * MIB),
            range(48 * MIB, 60 * MIB)
        ]
    );
    assert_eq!(depot.count("POST", ""), 4);
}

#[tokio::test]
async fn a_registry_that_forgets_gets_it_again() {
    let depot = Depot::start(Habits {
        cuts: vec![("PUT", 2 * MIB)],
        forgets: true,
        ..Habits::default()
    })
    .await;
    let published = published_model(5 * MIB);
    push_to(&depot, &published, "a/b").await.unwrap();
    assert_has_layer(&depot, &published, "a/b");
    assert_eq!(depot.count("POST", ""), 5);
}

#[tokio::test]
async fn acknowledging_too_much_is_refused() {
    let depot = Depot::start(Habits {
        cuts: vec![("PUT", 2 * MIB)],
        overstates: MIB,
        ..Habits::default()
    })
    .await;
    let published = published_model(5 * MIB);
    let error = push_to(&depot, &published, "a/b").await.unwrap_err();
    assert!(
        matches!(
            error,
            PushError::Blob {
                source: TransportError::Protocol { .. } | TransportError::Status { .. },
                ..
            }
        ),
        "{error:?}"
    );
    assert!(depot.manifest("a/b", "v1").is_none());
}

#[tokio::test]
async fn entries_of_others_stay_in_the_list_of_referrers() {
    let depot = Depot::start(Habits::default()).await;
    let published = published();
    let tag = published.root.digest.referrers_tag();
    let foreign = serde_json::json!({"mediaType": media_type::MANIFEST, "digest": Digest::of(b"x").to_string(), "size": 1,
        "annotations": {"whose": "theirs"}, "data": "eA=="});
    let list = serde_json::json!({"schemaVersion": 2, "mediaType": media_type::INDEX, "manifests": [foreign]});
    depot.put_manifest("a/b", &tag, list.to_string().as_bytes());
    push_to(&depot, &published, "a/b").await.unwrap();
    push_to(&depot, &published, "a/b").await.unwrap();
    let list: serde_json::Value = serde_json::from_slice(&depot.manifest("a/b", &tag).unwrap()).unwrap();
    assert_eq!(list["manifests"].as_array().unwrap().len(), 2);
    assert_eq!(list["manifests"][0], foreign);
    assert!(list["manifests"][1]["annotations"].is_object());
}

#[tokio::test]
async fn a_hundred_thousand_referrers_are_not_looked_at() {
    let published = published();
    let path = format!("/v2/demo/echo/referrers/{}", published.root.digest);
    let real: serde_json::Value = serde_json::from_slice(published.content.body(&path)).unwrap();
    let filler = Descriptor::of("application/vnd.something.else", b"filler");
    for (per_page, real_first) in [(1_000, true), (100, true), (20_000, true), (1_000, false)] {
        let mut page = vec![serde_json::to_value(&filler).unwrap(); per_page];
        if real_first {
            page[0] = real["manifests"][0].clone();
        }
        let body = serde_json::json!({"schemaVersion": 2, "mediaType": media_type::INDEX, "manifests": page});
        let (content, body, path) = (published.content.clone(), body.to_string(), path.clone());
        let server = Server::start(move |request| {
            if request.plain_path() != path {
                return content.answer(request);
            }
            let number: usize = request
                .path
                .split("page=")
                .nth(1)
                .map_or(0, |page| page.parse().unwrap());
            let link = format!("<{path}?page={}>; rel=\"next\"", number + 1);
            Reply::Whole(200, vec![("link", link)], body.clone().into_bytes())
        })
        .await;
        let (_folder, store) = store();
        let result = server::published::pull(&server, &store, &published.key).await;
        assert_eq!(result.is_ok(), real_first, "{result:?}");
        assert!(server.count("/referrers/") <= 11, "{}", server.count("/referrers/"));
    }
}

#[tokio::test]
async fn an_endless_list_of_referrers_ends() {
    let published = published();
    let mut content = published.content.clone();
    content.set(&format!("referrers/{}", published.root.digest), Reply::Endless);
    let (result, _) = outcome(content, &published.key).await;
    assert!(matches!(
        result,
        Err(dunlin_models::registry::PullError::Signatures {
            source: TransportError::TooLong { .. },
            ..
        })
    ));
}

#[tokio::test]
async fn copies_between_registries_take_signatures_along() {
    let (from, to) = (
        Depot::start(Habits::default()).await,
        Depot::start(Habits::default()).await,
    );
    let published = published_model(3 * MIB);
    push_to(&from, &published, "a/b").await.unwrap();
    let registry = Registry::new(config()).unwrap();
    let source = reference(&format!("{}/a/b:v1", from.server.host));
    let target = reference(&format!("{}/c/d:v2", to.server.host));
    let report = registry.copy(&source, &target, CopyOptions::default()).await.unwrap();
    assert_eq!((report.sent, report.referrers), (2, 1));
    assert_eq!(report.descriptor.digest, published.root.digest);
    assert_has_layer(&to, &published, "c/d");
    assert_eq!(to.manifest("c/d", "v2"), from.manifest("a/b", "v1"));
    let (_folder, pulled) = store();
    let verifier = dunlin_models::Verifier::new(fixture::policy(&published.key));
    let report = registry
        .pull(
            &pulled,
            &target,
            &verifier,
            dunlin_models::registry::PullOptions::default(),
        )
        .await
        .unwrap();
    assert_eq!(report.signatures, 1);
}

#[tokio::test]
async fn copies_within_a_registry_are_mounted() {
    let depot = Depot::start(Habits {
        mounts: true,
        ..Habits::default()
    })
    .await;
    let published = published_model(MIB);
    push_to(&depot, &published, "a/b").await.unwrap();
    let registry = Registry::new(config()).unwrap();
    let name = |path: &str| reference(&format!("{}/{path}", depot.server.host));
    let report = registry
        .copy(&name("a/b:v1"), &name("c/d:v1"), CopyOptions::default())
        .await
        .unwrap();
    assert_eq!((report.sent, report.mounted), (0, 2));
    assert_eq!(depot.count("GET", &published.layer.to_string()), 0);
}

#[tokio::test]
async fn wrong_bytes_are_not_copied() {
    let (from, to) = (
        Depot::start(Habits::default()).await,
        Depot::start(Habits::default()).await,
    );
    let published = published_model(2 * MIB);
    push_to(&from, &published, "a/b").await.unwrap();
    from.damage("a/b", &published.layer);
    let registry = Registry::new(config()).unwrap();
    let source = reference(&format!("{}/a/b:v1", from.server.host));
    let target = reference(&format!("{}/c/d:v1", to.server.host));
    let error = registry
        .copy(&source, &target, CopyOptions::default())
        .await
        .unwrap_err();
    assert!(
        matches!(&error, CopyError::Target { source, .. } if matches!(**source, PushError::Blob { .. })),
        "{error:?}"
    );
    assert!(to.blob("c/d", &published.layer).is_none());
    assert!(to.manifest("c/d", "v1").is_none());
}
