//! The store as a registry: what it serves, what it does not, and how it answers what nobody should ask.
#![allow(clippy::unwrap_used, reason = "tests")]

mod fixture;

use std::io::Read as _;
use std::os::unix::fs::FileExt as _;

use dunlin_models::share::{Answer, Ask, Content, Share};
use dunlin_models::{Descriptor, Digest, Store, Verifier, media_type};
use fixture::{key, model, module, policy, reference, sign, store};
use serde_json::Value;

/// A store with a signed model under two names, a module that nobody signed, and a blob of its own.
struct Site {
    _folder: tempfile::TempDir,
    store: Store,
    share: Share,
    signed: Descriptor,
    unsigned: Descriptor,
}

fn site() -> Site {
    let (folder, store) = store();
    let key = key();
    let (signed, unsigned) = (model(&store), module(&store));
    sign(&store, &signed, &key);
    store
        .tag(&reference("registry.example:5000/team/model:v1"), &signed)
        .unwrap();
    store.tag(&reference("local/model:v2"), &signed).unwrap();
    store.tag(&reference("local/module:v1"), &unsigned).unwrap();
    store
        .put_bytes("application/octet-stream", b"nobody names this")
        .unwrap();
    let share = Share::new(store.clone(), Verifier::new(policy(&key)));
    Site {
        _folder: folder,
        store,
        share,
        signed,
        unsigned,
    }
}

impl Site {
    fn ask(&self, method: &str, target: &str, range: Option<&str>) -> (Answer, Vec<u8>) {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let ask = Ask {
            method,
            path,
            query,
            range,
        };
        let mut answer = self.share.answer(&ask);
        let bytes = match std::mem::replace(&mut answer.content, Content::Empty) {
            Content::Empty => Vec::new(),
            Content::Bytes(bytes) => bytes,
            Content::File { file, range } => {
                let mut bytes = vec![0; usize::try_from(range.end - range.start).unwrap()];
                file.file().read_exact_at(&mut bytes, range.start).unwrap();
                bytes
            }
        };
        if method == "GET" {
            assert_eq!(
                header(&answer, "content-length"),
                Some(bytes.len().to_string().as_str())
            );
        }
        (answer, bytes)
    }

    fn get(&self, target: &str) -> (Answer, Vec<u8>) {
        self.ask("GET", target, None)
    }

    fn status(&self, target: &str) -> u16 {
        self.get(target).0.status
    }

    fn json(&self, target: &str) -> Value {
        let (answer, bytes) = self.get(target);
        assert_eq!(answer.status, 200, "{target}");
        serde_json::from_slice(&bytes).unwrap()
    }

    fn layer(&self) -> Descriptor {
        let manifest = self.store.read_document(&self.signed).unwrap();
        let manifest: Value = serde_json::from_slice(&manifest).unwrap();
        serde_json::from_value(manifest["layers"][0].clone()).unwrap()
    }
}

fn header<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    let found = answer.headers.iter().find(|(known, _)| *known == name);
    found.map(|(_, value)| value.as_str())
}

#[test]
fn a_signed_artifact_is_served_whole() {
    let site = site();
    assert_eq!(site.status("/v2/"), 200);
    let digest = site.signed.digest;
    for target in [
        "/v2/team/model/manifests/v1".to_owned(),
        "/v2/team/model/manifests/v1?ns=registry.example:5000".to_owned(),
        format!("/v2/team/model/manifests/{digest}"),
        "/v2/local/model/manifests/v2".to_owned(),
    ] {
        let (answer, bytes) = site.get(&target);
        assert_eq!((answer.status, Digest::of(&bytes)), (200, digest), "{target}");
        assert_eq!(header(&answer, "content-type"), Some(media_type::MANIFEST));
        assert_eq!(
            header(&answer, "docker-content-digest"),
            Some(digest.to_string().as_str())
        );
        let (head, nothing) = site.ask("HEAD", &target, None);
        assert_eq!((head.status, head.headers, nothing.len()), (200, answer.headers, 0));
    }
    let layer = site.layer();
    let (answer, bytes) = site.get(&format!("/v2/team/model/blobs/{}", layer.digest));
    assert_eq!((answer.status, Digest::of(&bytes)), (200, layer.digest));
}

#[test]
fn ranges_of_blobs_are_served() {
    let site = site();
    let layer = site.layer();
    let target = format!("/v2/team/model/blobs/{}", layer.digest);
    let (_, whole) = site.get(&target);
    let (answer, bytes) = site.ask("GET", &target, Some("bytes=2-5"));
    assert_eq!((answer.status, bytes.as_slice()), (206, &whole[2..6]));
    let expected = format!("bytes 2-5/{}", whole.len());
    assert_eq!(header(&answer, "content-range"), Some(expected.as_str()));
    let (answer, _) = site.ask("GET", &target, Some("bytes=99999-"));
    assert_eq!(answer.status, 416);
    assert_eq!(
        header(&answer, "content-range"),
        Some(format!("bytes */{}", whole.len()).as_str())
    );
}

#[test]
fn signatures_are_found_both_ways() {
    let site = site();
    let digest = site.signed.digest;
    let list = site.json(&format!("/v2/team/model/referrers/{digest}"));
    let entries = list["manifests"].as_array().unwrap();
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0]["artifactType"], media_type::SIGSTORE_BUNDLE);
    let tag = digest.to_string().replace(':', "-");
    assert_eq!(site.json(&format!("/v2/team/model/manifests/{tag}")), list);
    let signature = entries[0]["digest"].as_str().unwrap();
    let manifest = site.json(&format!("/v2/team/model/manifests/{signature}"));
    let bundle = manifest["layers"][0]["digest"].as_str().unwrap();
    assert_eq!(site.status(&format!("/v2/team/model/blobs/{bundle}")), 200);
    let (answer, bytes) = site.get(&format!("/v2/team/model/referrers/{digest}?artifactType=a/b%2Bc"));
    let filtered: Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(filtered["manifests"].as_array().unwrap().len(), 0);
    assert_eq!(header(&answer, "oci-filters-applied"), Some("artifactType"));
    let none = site.json(&format!("/v2/team/model/referrers/{}", Digest::of(b"absent")));
    assert_eq!(none["manifests"].as_array().unwrap().len(), 0);
}

#[test]
fn nothing_that_the_policy_refuses_is_served() {
    let site = site();
    let (digest, layer) = (site.unsigned.digest, Digest::of(fixture::MODULE));
    for target in [
        "/v2/local/module/manifests/v1".to_owned(),
        format!("/v2/local/module/manifests/{digest}"),
        format!("/v2/local/module/blobs/{layer}"),
        format!("/v2/local/model/blobs/{layer}"),
        format!("/v2/local/model/manifests/{digest}"),
        "/v2/local/module/tags/list".to_owned(),
    ] {
        assert_eq!(site.status(&target), 404, "{target}");
    }
    let shared = site.share.shared().unwrap();
    assert_eq!(shared.tags.len(), 2);
    assert_eq!(shared.withheld.len(), 1);
    assert_eq!(shared.withheld[0].0, "local/module:v1");
    // Without a policy there is nothing to serve.
    let nobody = Share::new(site.store.clone(), Verifier::deny_all());
    assert!(nobody.shared().unwrap().tags.is_empty());
}

#[test]
fn nothing_else_of_the_disk_is_served() {
    let site = site();
    let loose = Digest::of(b"nobody names this");
    let layer = site.layer().digest;
    let hex = layer.hex();
    for target in [
        format!("/v2/team/model/blobs/{loose}"),
        format!("/v2/team/model/blobs/sha256:../sha256/{hex}"),
        format!("/v2/team/model/blobs/../blobs/{layer}"),
        format!("/v2/team/model/blobs/%2e%2e/{layer}"),
        format!("/v2/../team/model/blobs/{layer}"),
        format!("/v2//team/model/blobs/{layer}"),
        format!("/v2/team/model//blobs/{layer}"),
        format!("/v2/other/blobs/{layer}"),
        format!("/v2/team/model/blobs/{layer}/"),
        format!("/v2/team/model/blobs/sha256:{}", hex.to_uppercase()),
        format!("/v2/team/model/blobs/{layer}?ns=other.example"),
        "/v2/team/model/manifests/../../../index.json".to_owned(),
        "/v2/team/model/manifests/v9".to_owned(),
        "/v2/_catalog".to_owned(),
        "/index.json".to_owned(),
        "/v2/../index.json".to_owned(),
        "/".to_owned(),
        String::new(),
    ] {
        assert_eq!(site.status(&target), 404, "{target}");
    }
    for method in ["POST", "PUT", "PATCH", "DELETE", "TRACE", ""] {
        let (answer, _) = site.ask(method, "/v2/team/model/blobs/uploads/", None);
        assert_eq!(answer.status, 405, "{method}");
    }
}

#[test]
fn what_is_damaged_or_missing_is_not_served() {
    let site = site();
    let layer = site.layer();
    let target = format!("/v2/team/model/blobs/{}", layer.digest);
    assert_eq!(site.status(&target), 200);
    let path = site.store.root().join("blobs/sha256").join(layer.digest.hex());
    let bytes = fs_err::read(&path).unwrap();
    fs_err::remove_file(&path).unwrap();
    fs_err::write(&path, &bytes[1..]).unwrap();
    assert_eq!(site.status(&target), 404, "another size");
    fs_err::remove_file(&path).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", &path).unwrap();
    assert_eq!(site.status(&target), 404, "a link");
    // Seen anew, the artifact is not whole, so that none of it is served.
    store_changes(&site);
    assert_eq!(site.status("/v2/team/model/manifests/v1"), 404);
    let reason = site.share.shared().unwrap().withheld.remove(0).1;
    assert!(reason.contains("missing"), "{reason}");
}

fn store_changes(site: &Site) {
    site.store.tag(&reference("local/other:v1"), &site.unsigned).unwrap();
}

#[test]
fn the_share_follows_the_store() {
    let site = site();
    assert_eq!(site.status("/v2/new/name/manifests/v3"), 404);
    site.store.tag(&reference("new/name:v3"), &site.signed).unwrap();
    assert_eq!(site.status("/v2/new/name/manifests/v3"), 200);
    site.store.untag(&reference("new/name:v3")).unwrap();
    assert_eq!(site.status("/v2/new/name/manifests/v3"), 404);
}

#[test]
fn names_of_several_registries_are_told_apart() {
    let (_folder, store) = store();
    let key = key();
    let (one, two) = (model(&store), module(&store));
    for signed in [&one, &two] {
        sign(&store, signed, &key);
    }
    store.tag(&reference("a.example/team/app:v1"), &one).unwrap();
    store.tag(&reference("b.example/team/app:v1"), &two).unwrap();
    let share = Share::new(store, Verifier::new(policy(&key)));
    let ask = |path: &str, query: &str| {
        let ask = Ask {
            method: "GET",
            path,
            query,
            range: None,
        };
        let answer = share.answer(&ask);
        (
            answer.status,
            header(&answer, "docker-content-digest").map(str::to_owned),
        )
    };
    let app = "/v2/team/app/manifests/v1";
    assert_eq!(ask(app, "").0, 404, "which of the two?");
    assert_eq!(ask(app, "ns=a.example"), (200, Some(one.digest.to_string())));
    assert_eq!(ask(app, "ns=b.example"), (200, Some(two.digest.to_string())));
    assert_eq!(ask(app, "ns=c.example").0, 404);
    assert_eq!(
        ask("/v2/b.example/team/app/manifests/v1", ""),
        (200, Some(two.digest.to_string()))
    );
}

#[test]
fn tags_come_in_pages() {
    let site = site();
    for number in 0..5 {
        let name = reference(&format!("registry.example:5000/team/model:t{number}"));
        site.store.tag(&name, &site.signed).unwrap();
    }
    let all = site.json("/v2/team/model/tags/list");
    assert_eq!(all["name"], "team/model");
    assert_eq!(all["tags"], serde_json::json!(["t0", "t1", "t2", "t3", "t4", "v1"]));
    let (mut next, mut seen) = (
        Some("/v2/team/model/tags/list?n=4&ns=registry.example%3A5000".to_owned()),
        Vec::new(),
    );
    let mut pages = 0;
    while let Some(target) = next.take() {
        let (answer, bytes) = site.get(&target);
        let page: Value = serde_json::from_slice(&bytes).unwrap();
        seen.extend(page["tags"].as_array().unwrap().clone());
        next = header(&answer, "link").map(|link| {
            let (target, _) = link.strip_prefix('<').unwrap().split_once('>').unwrap();
            target.to_owned()
        });
        pages += 1;
    }
    assert_eq!((seen.len(), pages), (6, 2));
    assert_eq!(site.json("/v2/team/model/tags/list?n=0")["tags"], serde_json::json!([]));
}

#[test]
fn linked_models_are_served_with_their_module() {
    let (_folder, store) = store();
    let key = key();
    let model = model(&store);
    let link = dunlin_models::artifact::ModelLink {
        name: "default".to_owned(),
        digest: model.digest,
        reference: Some("b.example/models/m:v1".to_owned()),
        encoding: None,
        optional: false,
    };
    let spec = dunlin_models::pack::ModuleSpec {
        wasm: fixture::MODULE.to_vec(),
        models: vec![link],
        ..Default::default()
    };
    let root = dunlin_models::pack::pack_module(&store, spec).unwrap();
    sign(&store, &root, &key);
    store.tag(&reference("a.example/team/app:v1"), &root).unwrap();
    let share = Share::new(store, Verifier::new(policy(&key)));
    let status = |path: String, query| {
        let ask = Ask {
            method: "GET",
            path: &path,
            query,
            range: None,
        };
        share.answer(&ask).status
    };
    let named = format!("/v2/models/m/manifests/{}", model.digest);
    assert_eq!(status(named.clone(), "ns=b.example"), 200);
    assert_eq!(status(named, "ns=a.example"), 404);
    assert_eq!(
        status(format!("/v2/team/app/manifests/{}", root.digest), "ns=a.example"),
        200
    );
}

#[test]
fn a_served_file_stays_readable_while_the_store_drops_it() {
    let site = site();
    let layer = site.layer();
    let path = format!("/v2/team/model/blobs/{}", layer.digest);
    let ask = Ask {
        method: "GET",
        path: &path,
        query: "",
        range: None,
    };
    let answer = site.share.answer(&ask);
    fs_err::remove_file(site.store.root().join("blobs/sha256").join(layer.digest.hex())).unwrap();
    let Content::File { file, range } = answer.content else {
        panic!("no file")
    };
    let mut bytes = Vec::new();
    file.take(range.end).read_to_end(&mut bytes).unwrap();
    assert_eq!(Digest::of(&bytes), layer.digest);
}
