//! Updates over thin links: what deltas and lists of chunks save, counted on the wire, and that nothing depends on them.
#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "../delta/tests/files/mod.rs"]
mod files;
mod fixture;
mod server;
mod versions;

use std::sync::Arc;
use std::time::Duration;

use dunlin_models::registry::{Event, NoProgress, Progress, PullOptions, Registry};
use dunlin_models::store::GcOptions;
use dunlin_models::{Digest, Store, Verifier, media_type, update};
use fixture::{policy, reference};
use server::published::config;
use server::{Content, Reply};
use versions::{Edit, Receiver, Versions, versions, versions_of};

const DELTA: &str = media_type::DELTA_MANIFEST;
const CHUNKS: &str = media_type::CHUNKS_MANIFEST;

/// Bytes of blobs beside the weights: config, signature, manifests of updates.
const OVERHEAD: u64 = 16 << 10;

/// Percent of the weights that came over the wire.
fn share(sent: u64, versions: &Versions) -> f64 {
    100.0 * sent.saturating_sub(OVERHEAD) as f64 / versions.new.weights.size as f64
}

/// Takes away the referrers of this kind.
fn without(content: &mut Content, versions: &Versions, artifact_type: &str) {
    let mut referrers = versions.store.referrers(&versions.new.root.digest).unwrap();
    referrers.retain(|referrer| referrer.artifact_type.as_deref() != Some(artifact_type));
    let list = dunlin_models::manifest::Index::new(referrers);
    let headers = vec![("content-type", media_type::INDEX.to_owned())];
    let body = serde_json::to_vec(&list).unwrap();
    content.set(
        &format!("referrers/{}", versions.new.root.digest),
        Reply::Whole(200, headers, body),
    );
}

#[tokio::test]
async fn updates_cost_what_has_changed() {
    for (edit, most_percent) in [(Edit::Header, 0.1), (Edit::Tenth, 12.0), (Edit::Dense, 12.0)] {
        let versions = versions(edit);
        let receiver = Receiver::of(&versions).await;
        let outcome = receiver.update(&versions, versions.content(&versions.new)).await;
        let share = share(outcome.sent, &versions);
        assert!(share <= most_percent, "{edit:?}: {share} %");
        assert!(
            outcome.has("rebuilding", "delta") && outcome.has("saved", "delta"),
            "{edit:?}"
        );
        let report = outcome.result.unwrap();
        assert_eq!(report.fetched, 2, "config and weights");
        let whole = versions.new.weights.size;
        assert!(report.bytes < whole / 4 && report.saved > whole / 4 * 3, "{report:?}");
        // The delta has served.
        let delta = versions.update(DELTA);
        assert!(!receiver.store.contains(&delta.digest));
    }
}

#[tokio::test]
async fn chunks_serve_who_has_no_delta() {
    for (edit, most_percent) in [(Edit::Header, 3.0), (Edit::Tenth, 17.0)] {
        let versions = versions(edit);
        let receiver = Receiver::of(&versions).await;
        let mut content = versions.content(&versions.new);
        without(&mut content, &versions, DELTA);
        let outcome = receiver.update(&versions, content).await;
        let share = share(outcome.sent, &versions);
        assert!(share <= most_percent, "{edit:?}: {share} %");
        assert!(outcome.has("saved", "chunks"), "{edit:?}");
        let report = outcome.result.unwrap();
        assert_eq!(
            report.bytes + report.saved,
            versions.new.weights.size + config_bytes(&versions)
        );
    }
}

fn config_bytes(versions: &Versions) -> u64 {
    let manifest = versions.store.read_document(&versions.new.root).unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
    manifest["config"]["size"].as_u64().unwrap()
}

#[tokio::test]
async fn what_saves_too_little_is_not_made() {
    let dense = versions(Edit::Dense);
    let [prepared] = dense.prepared.as_slice() else {
        panic!("{:?}", dense.prepared)
    };
    assert!(prepared.delta.is_some() && prepared.chunks.is_none(), "{prepared:?}");
    let [old, new] = [1, 2].map(|seed| {
        let tensor = files::Tensor {
            name: "w".to_owned(),
            data: files::Noise(seed).bytes(2 << 20),
        };
        files::safetensors("", &[tensor])
    });
    let unrelated = versions_of(old, new);
    let [prepared] = unrelated.prepared.as_slice() else {
        panic!("{:?}", unrelated.prepared)
    };
    assert_eq!((prepared.delta, prepared.chunks), (None, None));
    let referrers = unrelated.store.referrers(&unrelated.new.root.digest).unwrap();
    assert_eq!(referrers.len(), 1, "the signature");
}

#[tokio::test]
async fn preparing_again_changes_nothing() {
    let versions = versions(Edit::Tenth);
    let before = versions.store.referrers(&versions.new.root.digest).unwrap();
    let progress: Arc<dyn Progress> = Arc::new(NoProgress);
    let again = update::prepare(&versions.store, &versions.new.root, &versions.old.root, &progress).unwrap();
    assert_eq!(again[0].delta, versions.prepared[0].delta);
    assert_eq!(versions.store.referrers(&versions.new.root.digest).unwrap(), before);
    let same = update::prepare(&versions.store, &versions.new.root, &versions.new.root, &progress).unwrap();
    assert!(same.is_empty());
}

#[tokio::test]
async fn a_receiver_without_the_base_asks_for_nothing_more() {
    let versions = versions(Edit::Tenth);
    let receiver = Receiver::of(&versions).await;
    let fresh = receiver.emptied();
    let outcome = fresh.update(&versions, versions.content(&versions.new)).await;
    assert!(outcome.sent >= versions.new.weights.size);
    let delta = versions.update(DELTA).digest.to_string();
    assert_eq!(fresh.wire.server.count(&delta), 0);
}

#[tokio::test]
async fn updates_can_be_switched_off() {
    let versions = versions(Edit::Header);
    let receiver = Receiver::of(&versions).await;
    receiver.wire.become_(versions.content(&versions.new));
    let options = PullOptions {
        updates: false,
        ..PullOptions::default()
    };
    let outcome = receiver.pull(&versions, options).await;
    assert_eq!(outcome.result.unwrap().saved, 0);
    assert!(outcome.sent >= versions.new.weights.size);
    receiver.assert_is_new(&versions);
}

/// Offers these bytes as the only update, under a manifest that names them, as a hostile registry can.
fn replace(content: &mut Content, versions: &Versions, artifact_type: &str, bytes: &[u8]) {
    let mut referrers = versions.store.referrers(&versions.new.root.digest).unwrap();
    let others = [DELTA, CHUNKS].map(|kind| (kind != artifact_type).then_some(kind));
    referrers
        .retain(|referrer| referrer.artifact_type.is_none() || !others.contains(&referrer.artifact_type.as_deref()));
    let is_it = |referrer: &&mut dunlin_models::Descriptor| referrer.artifact_type.as_deref() == Some(artifact_type);
    let referrer = referrers.iter_mut().find(is_it).unwrap();
    let manifest = versions.store.read_document(referrer).unwrap();
    let mut manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
    manifest["layers"][0]["digest"] = Digest::of(bytes).to_string().into();
    manifest["layers"][0]["size"] = bytes.len().into();
    let manifest = serde_json::to_vec(&manifest).unwrap();
    referrer.digest = Digest::of(&manifest);
    referrer.size = manifest.len() as u64;
    content.set(&format!("blobs/{}", Digest::of(bytes)), Reply::ok(bytes));
    let headers = || vec![("content-type", media_type::MANIFEST.to_owned())];
    content.set(
        &format!("manifests/{}", referrer.digest),
        Reply::Whole(200, headers(), manifest),
    );
    let list = dunlin_models::manifest::Index::new(referrers);
    let body = serde_json::to_vec(&list).unwrap();
    let headers = vec![("content-type", media_type::INDEX.to_owned())];
    content.set(
        &format!("referrers/{}", versions.new.root.digest),
        Reply::Whole(200, headers, body),
    );
}

/// The true delta's bytes.
fn delta(versions: &Versions) -> Vec<u8> {
    let blob = versions.update(DELTA);
    fs_err::read(versions.store.root().join("blobs/sha256").join(blob.digest.hex())).unwrap()
}

fn encoded(base: &[u8], new: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    dunlin_delta::encode(&base, &new, &mut out, &dunlin_delta::EncodeOptions::default()).unwrap();
    out
}

/// A delta that promises the new weights and makes others: those of `wrong`, of the same length.
fn lying(versions: &Versions, wrong: &[u8]) -> Vec<u8> {
    let mut bytes = encoded(&versions.old.bytes, wrong);
    bytes[56..88].copy_from_slice(versions.new.weights.digest.as_bytes());
    bytes
}

#[tokio::test]
async fn no_delta_is_trusted() {
    let versions = versions(Edit::Header);
    let good = delta(&versions);
    let mut flipped = good.clone();
    *flipped.last_mut().unwrap() ^= 1;
    let mut wrong = versions.new.bytes.clone();
    *wrong.last_mut().unwrap() ^= 1;
    let other_base = encoded(&wrong, &versions.new.bytes);
    let mut bomb = good.clone();
    bomb[88..96].copy_from_slice(&(1_u64 << 60).to_le_bytes());
    let cases = [
        ("flipped", flipped),
        ("cut", good[..good.len() - 1].to_vec()),
        ("empty", Vec::new()),
        ("trailing", [good.as_slice(), b"x"].concat()),
        ("of another base", other_base),
        ("to another target", encoded(&versions.old.bytes, &wrong)),
        ("lying", lying(&versions, &wrong)),
        ("bomb", bomb),
        ("no delta at all", b"PK\x03\x04".repeat(1000)),
    ];
    for (name, bytes) in cases {
        let receiver = Receiver::of(&versions).await;
        let mut content = versions.content(&versions.new);
        replace(&mut content, &versions, DELTA, &bytes);
        let outcome = receiver.update(&versions, content).await;
        assert!(outcome.has("fallback", "delta"), "{name}: {:?}", outcome.events);
        assert!(!outcome.reason().is_empty());
        assert!(outcome.sent >= versions.new.weights.size, "{name}");
        assert_eq!(outcome.result.unwrap().saved, 0, "{name}");
    }
}

#[tokio::test]
async fn a_delta_that_rots_on_the_way_or_is_gone_is_done_without() {
    let versions = versions(Edit::Header);
    let path = format!("blobs/{}", versions.update(DELTA).digest);
    let mut rotten = delta(&versions);
    rotten[100] ^= 1;
    for reply in [
        Reply::ok(&rotten),
        Reply::status(404),
        Reply::status(403),
        Reply::Endless,
    ] {
        let receiver = Receiver::of(&versions).await;
        let mut content = versions.content(&versions.new);
        without(&mut content, &versions, CHUNKS);
        content.set(&path, reply);
        let outcome = receiver.update(&versions, content).await;
        assert!(outcome.has("fallback", "delta"), "{:?}", outcome.events);
    }
}

#[tokio::test]
async fn large_deltas_and_floods_of_referrers_are_left_alone() {
    let versions = versions(Edit::Header);
    let receiver = Receiver::of(&versions).await;
    let mut content = versions.content(&versions.new);
    let large = vec![0; versions.new.bytes.len() / 10 * 8];
    replace(&mut content, &versions, DELTA, &large);
    let outcome = receiver.update(&versions, content).await;
    let wire = &receiver.wire;
    assert_eq!(wire.server.count(&Digest::of(&large).to_string()), 0);
    assert!(!outcome.has("fallback", "delta"));

    let receiver = Receiver::of(&versions).await;
    let mut content = versions.content(&versions.new);
    let mut entry = dunlin_models::Descriptor::of(media_type::MANIFEST, b"absent");
    entry.artifact_type = Some(DELTA.to_owned());
    let entries = (0..900_u32).map(|number| dunlin_models::Descriptor {
        digest: Digest::of(&number.to_le_bytes()),
        ..entry.clone()
    });
    let mut list = versions.store.referrers(&versions.new.root.digest).unwrap();
    list.retain(|referrer| referrer.artifact_type.as_deref() == Some(media_type::SIGSTORE_BUNDLE));
    list.extend(entries);
    let body = serde_json::to_vec(&dunlin_models::manifest::Index::new(list)).unwrap();
    let headers = vec![("content-type", media_type::INDEX.to_owned())];
    content.set(
        &format!("referrers/{}", versions.new.root.digest),
        Reply::Whole(200, headers, body),
    );
    let before = receiver.wire.server.count("/manifests/");
    receiver.update(&versions, content).await;
    let asked = receiver.wire.server.count("/manifests/") - before;
    assert!(asked <= 64 + 8, "{asked} manifests were asked for");
}

#[tokio::test]
async fn a_lying_list_of_chunks_costs_bytes_and_nothing_else() {
    let versions = versions(Edit::Tenth);
    let truth = {
        let blob = versions.update(CHUNKS);
        fs_err::read(versions.store.root().join("blobs/sha256").join(blob.digest.hex())).unwrap()
    };
    // The old file's chunks, called the new file's: all of them are here, and all are wrong.
    let list = dunlin_delta::ChunkManifest::of(&versions.old.bytes, None).unwrap();
    let mut lie = Vec::new();
    list.write(&mut lie).unwrap();
    lie[16..48].copy_from_slice(versions.new.weights.digest.as_bytes());
    let sizes = versions.new.bytes.len() - versions.old.bytes.len();
    // Same length as the new file: the last chunk grows by what the header grew by.
    lie[48..56].copy_from_slice(&(versions.new.bytes.len() as u64).to_le_bytes());
    let last = lie.len() - 36;
    let len = u32::from_le_bytes(lie[last..last + 4].try_into().unwrap());
    lie[last..last + 4].copy_from_slice(&(len + u32::try_from(sizes).unwrap()).to_le_bytes());
    let mut cut = truth.clone();
    cut.truncate(truth.len() - 1);
    for (name, bytes, is_used) in [("lie", lie, true), ("cut", cut, false), ("empty", Vec::new(), false)] {
        let receiver = Receiver::of(&versions).await;
        let mut content = versions.content(&versions.new);
        replace(&mut content, &versions, CHUNKS, &bytes);
        let outcome = receiver.update(&versions, content).await;
        assert_eq!(
            outcome.has("fallback", "chunks"),
            !is_used,
            "{name}: {:?}",
            outcome.events
        );
        let thrown_away = outcome.events.iter().any(|event| event["event"] == "discarded");
        assert_eq!(thrown_away, is_used, "{name}");
    }
}

/// Takes the tag away and collects garbage at the worst moment.
struct Collector(Store);

impl Progress for Collector {
    fn event(&self, event: &Event<'_>) {
        if !matches!(event, Event::Rebuilding { .. }) {
            return;
        }
        let store = &self.0;
        for entry in store.list().unwrap() {
            store.untag(&entry.reference().unwrap()).unwrap();
        }
        let options = GcOptions {
            grace: Duration::ZERO,
            ..GcOptions::default()
        };
        let plan = store.plan_gc(&options).unwrap();
        store.execute_gc(&plan).unwrap();
    }
}

#[tokio::test]
async fn a_base_in_use_is_not_collected() {
    for kept in [DELTA, CHUNKS] {
        let versions = versions(Edit::Tenth);
        let receiver = Receiver::of(&versions).await;
        let mut content = versions.content(&versions.new);
        without(&mut content, &versions, if kept == DELTA { CHUNKS } else { DELTA });
        receiver.wire.become_(content);
        let options = PullOptions {
            progress: Arc::new(Collector(receiver.store.clone())),
            ..PullOptions::default()
        };
        let name = reference(&format!("{}/demo/echo:v1", receiver.wire.server.host));
        let verifier = Verifier::new(policy(&versions.key));
        let registry = Registry::new(config()).unwrap();
        let report = registry.pull(&receiver.store, &name, &verifier, options).await.unwrap();
        assert!(report.saved > 0, "{kept}");
        receiver.assert_is_new(&versions);
        // And now that nobody uses it, it goes.
        let plan = receiver.store.plan_gc(&GcOptions {
            grace: Duration::ZERO,
            ..GcOptions::default()
        });
        assert!(
            plan.unwrap()
                .blobs
                .iter()
                .any(|(digest, _)| *digest == versions.old.weights.digest)
        );
    }
}
