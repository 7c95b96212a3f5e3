//! Signatures at a registry: where they are looked for, and that nothing else is fetched before the policy has decided.
#![allow(clippy::unwrap_used, reason = "tests")]

mod fixture;
mod server;

use dunlin_models::manifest::{Index, Manifest};
use dunlin_models::registry::{PullError, PullOptions, Registry};
use dunlin_models::verify::{Verdict, VerifyError};
use dunlin_models::{Descriptor, Digest, Verifier, media_type};
use fixture::{key, reference, store};
use server::published::{config, failure, impatient, outcome, outcome_with, published};
use server::{Reply, Server};

#[tokio::test]
async fn nothing_is_fetched_before_the_verdict() {
    let published = published();
    let (result, server) = outcome(published.content, &key()).await;
    let error = result.unwrap_err();
    let PullError::Refused {
        source: VerifyError::Unsatisfied { explanations, .. },
        ..
    } = &error
    else {
        panic!("{error:?}")
    };
    assert_eq!(explanations.len(), 1);
    assert_eq!(server.count(&published.layer.to_string()), 0);
}

#[tokio::test]
async fn unsigned_is_refused_unless_asked_for() {
    let mut publisher = published();
    let none = serde_json::to_vec(&Index::new(Vec::new())).unwrap();
    publisher
        .content
        .set(&format!("referrers/{}", publisher.root.digest), Reply::ok(&none));
    let content = publisher.content.clone();
    let error = failure(publisher.content.clone(), &publisher.key).await;
    assert!(
        matches!(
            error,
            PullError::Refused {
                source: VerifyError::Unsigned { .. },
                ..
            }
        ),
        "{error:?}"
    );
    let server = Server::start(move |request| content.answer(request)).await;
    let (_folder, store) = store();
    let name = reference(&format!("{}/demo/echo:v1", server.host));
    let options = PullOptions {
        allow_unsigned: true,
        ..PullOptions::default()
    };
    let registry = Registry::new(config()).unwrap();
    let report = registry
        .pull(&store, &name, &Verifier::deny_all(), options.clone())
        .await
        .unwrap();
    assert_eq!(report.descriptor.verdict(), &Verdict::AllowedUnsigned);

    // And from a registry that does not even say whether there are signatures.
    let mut silent = publisher.content.clone();
    let path = format!("referrers/{}", publisher.root.digest);
    silent.set(&path, Reply::status(403));
    let server = Server::start(move |request| silent.answer(request)).await;
    let name = reference(&format!("{}/demo/echo:v1", server.host));
    registry
        .pull(&store, &name, &Verifier::deny_all(), options)
        .await
        .unwrap();
}

#[tokio::test]
async fn hostile_lists_of_signatures() {
    let published = published();
    let path = format!("referrers/{}", published.root.digest);
    let fail = async |reply: Reply| {
        let mut content = published.content.clone();
        content.set(&path, reply);
        failure(content, &published.key).await
    };
    // Errors deny, they do not pass for "no signatures".
    for reply in [
        Reply::Endless,
        Reply::status(500),
        Reply::status(403),
        Reply::ok(b"nonsense"),
    ] {
        let error = fail(reply).await;
        assert!(matches!(error, PullError::Signatures { .. }), "{error:?}");
    }
    let mut silent = published.content.clone();
    silent.set(&path, Reply::Silent);
    let error = outcome_with(impatient(), silent, &published.key).await.0.unwrap_err();
    assert!(matches!(error, PullError::Signatures { .. }), "{error:?}");
    // A long list is cut, and what is listed but not there fails by itself.
    let junk: Vec<_> = (0..500_u32)
        .map(|i| Descriptor::new(media_type::MANIFEST, Digest::of(&i.to_le_bytes()), 10))
        .collect();
    let mut content = published.content.clone();
    content.set(&path, Reply::ok(&serde_json::to_vec(&Index::new(junk)).unwrap()));
    let (result, server) = outcome(content, &published.key).await;
    assert!(matches!(
        result,
        Err(PullError::Refused {
            source: VerifyError::Unsatisfied { .. },
            ..
        })
    ));
    assert_eq!(server.count("manifests/sha256:"), 64);
    // A bundle that is huge by its own descriptor is not fetched.
    let bundle = Descriptor::new(media_type::SIGSTORE_BUNDLE, Digest::of(b"huge"), u64::MAX);
    let mut manifest = Manifest::new(Descriptor::of(media_type::EMPTY, b"{}"), vec![bundle]);
    manifest.subject = Some(published.root.clone());
    let bytes = serde_json::to_vec(&manifest).unwrap();
    let listed = Descriptor::of(media_type::MANIFEST, &bytes);
    let mut content = published.content.clone();
    content.set(&format!("manifests/{}", listed.digest), Reply::ok(&bytes));
    content.set(
        &path,
        Reply::ok(&serde_json::to_vec(&Index::new(vec![listed])).unwrap()),
    );
    let (result, server) = outcome(content, &published.key).await;
    assert!(result.is_err());
    assert_eq!(server.count("blobs/"), 0);
}

#[tokio::test]
async fn pages_and_the_fallback_tag_are_followed() {
    let published = published();
    let path = format!("referrers/{}", published.root.digest);
    let list = published.content.0[&format!("/v2/demo/echo/{path}")].clone();
    let mut paged = published.content.clone();
    let empty = serde_json::to_vec(&Index::new(Vec::new())).unwrap();
    let next = "</v2/demo/echo/second>; rel=\"next\"".to_owned();
    paged.set(&path, Reply::Whole(200, vec![("link", next)], empty.clone()));
    paged.set("second", list.clone());
    outcome(paged, &published.key).await.0.unwrap();
    let mut fallback = published.content.clone();
    fallback.set(&path, Reply::status(404));
    fallback.set(&format!("manifests/sha256-{}", published.root.digest.hex()), list);
    outcome(fallback, &published.key).await.0.unwrap();
    // A page that names itself as the next is the last.
    let mut looping = published.content.clone();
    let itself = format!("</v2/demo/echo/{path}>; rel=\"next\"");
    looping.set(&path, Reply::Whole(200, vec![("link", itself)], empty));
    let (result, server) = outcome(looping, &published.key).await;
    assert!(result.is_err());
    assert_eq!(server.count("referrers/"), 1);
}
