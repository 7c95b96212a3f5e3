//! A registry, or somebody in its place, that lies about lengths, never ends, leads elsewhere or asks for passwords.

use std::sync::atomic::{AtomicUsize, Ordering};

use dunlin_tests::{Ask, HostileRegistry, Reply, Shelf, digest_of};
use serde_json::{Value, json};

use crate::{CORRUPT, NETWORK, REFUSED, origin::Origin, scene::Scene};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// Base64 of `user:secret`.
const LOGIN: &str = "dXNlcjpzZWNyZXQ=";

fn by_tag(ask: &Ask) -> bool {
    ask.target.ends_with("/manifests/1")
}

/// The answer to a request for the tag is another one.
fn tagged(code: i32, text: &str, answer: impl Fn(&Shelf) -> Reply + Send + Sync + 'static) {
    let Some(origin) = Origin::get() else { return };
    let shelf = origin.signed.clone();
    let scene = Scene::answering(origin, shelf.clone(), move |ask| by_tag(ask).then(|| answer(&shelf)));
    scene.refuses(code, text);
}

/// The answer to a request for what refers to the artifact is another one.
fn referrers(code: i32, text: &str, answer: impl Fn(&Ask) -> Reply + Send + Sync + 'static) {
    let Some(origin) = Origin::get() else { return };
    let scene = Scene::answering(origin, origin.unsigned.clone(), move |ask| {
        ask.is_referrers().then(|| answer(ask))
    });
    scene.refuses(code, text);
}

/// The answer to a request for the module itself is another one.
fn module(code: i32, text: &str, answer: impl Fn(&[u8]) -> Reply + Send + Sync + 'static) {
    let Some(origin) = Origin::get() else { return };
    let shelf = origin.signed.clone();
    let digest = shelf.layers(shelf.tagged())[0].clone();
    let (bytes, wanted) = (shelf.bytes(&digest).to_vec(), digest.clone());
    let scene = Scene::answering(origin, shelf, move |ask| ask.wants(&wanted).then(|| answer(&bytes)));
    let output = scene.pull().exits(code);
    output.did_not_crash().says(text);
    assert!(!scene.customer.blob(&digest).exists(), "{digest} became visible");
    scene.holds_no_artifact();
}

fn length(bytes: usize) -> Vec<(&'static str, String)> {
    vec![("content-length", bytes.to_string())]
}

fn manifest(bytes: Vec<u8>) -> Reply {
    Reply::Whole(200, vec![("content-type", INDEX.to_owned())], bytes)
}

fn padding(count: usize) -> Value {
    let entry = |at: usize| {
        json!({
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "artifactType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "digest": digest_of(&at.to_le_bytes()),
            "size": 800,
        })
    };
    json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": (0..count).map(entry).collect::<Vec<_>>() })
}

#[test]
fn manifest_without_end() {
    tagged(NETWORK, "sent more than", |_| {
        Reply::Endless(vec![("content-type", INDEX.to_owned())], vec![b' '; 1 << 16])
    });
}

#[test]
fn manifest_of_a_gigabyte() {
    tagged(NETWORK, "sent more than", |_| {
        let headers = [length(1 << 30), vec![("content-type", INDEX.to_owned())]].concat();
        Reply::Endless(headers, vec![b' '; 1 << 16])
    });
}

#[test]
fn manifest_cut_short() {
    tagged(NETWORK, "end of file before message length", |shelf| {
        let bytes = shelf.bytes(shelf.tagged());
        let headers = [length(bytes.len()), vec![("content-type", INDEX.to_owned())]].concat();
        Reply::Cut(headers, bytes[..bytes.len() / 2].to_vec())
    });
}

#[test]
fn manifest_with_a_lying_digest_header() {
    tagged(CORRUPT, "instead of", |shelf| {
        let headers = vec![
            ("content-type", INDEX.to_owned()),
            ("docker-content-digest", shelf.tagged().to_owned()),
        ];
        Reply::Whole(200, headers, b"{\"schemaVersion\":2,\"manifests\":[]}".to_vec())
    });
}

#[test]
fn manifest_too_deep_to_read() {
    tagged(CORRUPT, "is not a manifest", |_| {
        manifest([b"{\"other\":".to_vec(), vec![b'['; 200_000]].concat())
    });
}

#[test]
fn manifest_that_is_a_page_of_text() {
    tagged(CORRUPT, "not a manifest", |_| {
        Reply::Whole(
            200,
            vec![("content-type", "text/html".to_owned())],
            b"<html>log in</html>".to_vec(),
        )
    });
}

#[test]
fn layer_longer_than_its_descriptor() {
    module(NETWORK, "sent more than", |bytes| {
        Reply::Whole(200, Vec::new(), [bytes, b"more"].concat())
    });
}

#[test]
fn layer_shorter_than_its_descriptor() {
    module(NETWORK, "instead of", |bytes| {
        Reply::Whole(200, Vec::new(), bytes[..bytes.len() / 2].to_vec())
    });
}

#[test]
fn layer_without_end() {
    module(NETWORK, "sent more than", |_| {
        Reply::Endless(Vec::new(), vec![0; 1 << 16])
    });
}

#[test]
fn layer_that_always_breaks_off() {
    module(NETWORK, "end of file before message length", |bytes| {
        Reply::Cut(length(bytes.len()), bytes[..1000].to_vec())
    });
}

#[test]
fn layer_with_other_bytes_of_its_length() {
    module(CORRUPT, "has the digest", |bytes| {
        Reply::Whole(200, Vec::new(), vec![0; bytes.len()])
    });
}

#[test]
fn referrers_by_the_hundred_thousand() {
    let list = padding(100_000);
    referrers(NETWORK, "sent more than", move |_| Reply::document(&list));
}

#[test]
fn referrers_in_pages_without_end() {
    let page = AtomicUsize::new(0);
    referrers(REFUSED, "no signature", move |ask| {
        let next = page.fetch_add(1, Ordering::Relaxed) + 1;
        let path = ask.target.split('?').next().unwrap_or_default();
        let headers = vec![
            ("content-type", INDEX.to_owned()),
            ("link", format!("<{path}?page={next}>; rel=\"next\"")),
        ];
        let empty = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [] });
        Reply::Whole(200, headers, empty.to_string().into_bytes())
    });
}

#[test]
fn referrers_without_end() {
    referrers(NETWORK, "sent more than", |_| {
        Reply::Endless(vec![("content-type", INDEX.to_owned())], vec![b' '; 1 << 16])
    });
}

#[test]
fn signatures_that_are_not_there() {
    let list = padding(64);
    referrers(REFUSED, "answered 404", move |_| Reply::document(&list));
}

#[test]
fn redirect_in_a_circle() {
    tagged(NETWORK, "too many redirects", |_| {
        Reply::elsewhere("/v2/team/app/manifests/1")
    });
}

#[test]
fn redirect_to_a_file() {
    tagged(NETWORK, "answered 307", |_| Reply::elsewhere("file:///etc/passwd"));
}

#[test]
fn redirect_elsewhere_takes_no_password_along() {
    let Some(origin) = Origin::get() else { return };
    let thief = HostileRegistry::of(origin.signed.clone());
    let there = format!(
        "http://localhost:{}/v2/team/app/manifests/1",
        thief.host().rsplit_once(':').unwrap().1
    );
    let scene = Scene::answering(origin, origin.unsigned.clone(), move |ask| match &ask.authorization {
        None => Some(challenge("Basic realm=\"registry\"")),
        Some(_) => by_tag(ask).then(|| Reply::elsewhere(&there)),
    });
    log_in(&scene, &scene.registry.host());
    let output = scene.pull();
    assert_ne!(output.code, 0, "{output:#?}");
    scene.leaves_nothing(&output, "no signature");
    assert!(scene.registry.seen().iter().any(|ask| ask.authorization.is_some()));
    assert!(
        thief.seen().iter().all(|ask| ask.authorization.is_none()),
        "{:?}",
        thief.seen()
    );
}

#[test]
fn realm_that_wants_the_password_of_another_registry() {
    let Some(origin) = Origin::get() else { return };
    let thief = HostileRegistry::answering(Shelf::default(), |_| Some(Reply::document(&json!({ "token": "t" }))));
    let realm = format!(
        "Bearer realm=\"http://{}/token\",service=\"registry.example\"",
        thief.host()
    );
    let scene = Scene::answering(origin, origin.signed.clone(), move |ask| {
        ask.authorization.is_none().then(|| challenge(&realm))
    });
    log_in(&scene, "registry.example");
    scene.pull().did_not_crash();
    assert!(!thief.seen().is_empty(), "no token was asked for");
    let shown = thief.seen().into_iter().find_map(|ask| ask.authorization);
    assert!(shown.is_none(), "{shown:?}");
}

#[test]
fn login_that_never_succeeds() {
    let Some(origin) = Origin::get() else { return };
    let scene = Scene::answering(origin, origin.signed.clone(), |_| {
        Some(challenge("Basic realm=\"again\""))
    });
    log_in(&scene, &scene.registry.host());
    let output = scene.pull();
    assert_ne!(output.code, 0, "{output:#?}");
    scene.leaves_nothing(&output, "requires authentication");
    assert!(scene.registry.seen().len() < 20, "{:?}", scene.registry.seen());
    assert!(!output.stderr.contains("secret"), "{output:#?}");
}

#[test]
fn headers_without_end() {
    tagged(NETWORK, "too large", |_| {
        Reply::Whole(200, vec![("x-long", "a".repeat(4 << 20))], Vec::new())
    });
}

#[test]
fn errors_of_a_megabyte_with_control_characters() {
    let Some(origin) = Origin::get() else { return };
    let scene = Scene::answering(origin, origin.signed.clone(), |_| {
        Some(Reply::Whole(
            400,
            Vec::new(),
            b"\x1b[2J\x1b]0;owned\x07".repeat(100_000),
        ))
    });
    let output = scene.pull();
    assert_ne!(output.code, 0, "{output:#?}");
    assert!(
        !output.stderr.contains('\u{1b}') && output.stderr.len() < 4096,
        "{output:#?}"
    );
    scene.leaves_nothing(&output, "answered 400");
}

fn challenge(how: &str) -> Reply {
    Reply::Whole(401, vec![("www-authenticate", how.to_owned())], Vec::new())
}

/// The customer has a password for the registry `host`.
fn log_in(scene: &Scene, host: &str) {
    let config = json!({ "auths": { host: { "auth": LOGIN } } });
    fs_err::create_dir_all(scene.customer.path(".docker")).unwrap();
    scene.customer.write(".docker/config.json", config.to_string());
}
