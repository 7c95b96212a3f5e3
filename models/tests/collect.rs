//! Garbage collection, leases, pins, and checks of the store; with other processes and threads at work.
#![allow(clippy::unwrap_used, reason = "tests")]

mod fixture;

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use dunlin_models::artifact::ModelLink;
use dunlin_models::pack::{self, ModuleSpec};
use dunlin_models::store::{Damage, Evict, GcOptions, StoreError};
use dunlin_models::{Descriptor, Digest, Store};
use fixture::{MODULE, ingest_files, key, reference, store, trusted};

/// Collects everything at once, however young.
fn at_once() -> GcOptions {
    GcOptions {
        grace: Duration::ZERO,
        partial_age: Duration::ZERO,
        evict: None,
    }
}

fn collect(store: &Store) -> usize {
    let plan = store.plan_gc(&at_once()).unwrap();
    store.execute_gc(&plan).unwrap().blobs
}

fn blobs(store: &Store) -> usize {
    fs_err::read_dir(store.root().join("blobs/sha256")).unwrap().count()
}

#[test]
fn what_is_named_stays_and_the_rest_goes() {
    let (_folder, store) = store();
    let model = fixture::model(&store);
    let link = ModelLink {
        name: "default".to_owned(),
        digest: model.digest,
        reference: None,
        encoding: None,
        optional: false,
    };
    let spec = ModuleSpec {
        wasm: MODULE.to_vec(),
        models: vec![link],
        ..ModuleSpec::default()
    };
    let module = pack::pack_module(&store, spec).unwrap();
    let signature = fixture::sign(&store, &module, &key());
    let name = reference("demo/app:v1");
    store.tag(&name, &module).unwrap();
    let before = blobs(&store);
    // Module, its signature, and the model that it links.
    let plan = store.plan_gc(&at_once()).unwrap();
    assert_eq!(plan.blobs, []);
    store.put_bytes("a/b", b"garbage").unwrap();
    assert_eq!(store.plan_gc(&GcOptions::default()).unwrap().blobs, []);
    let plan = store.plan_gc(&at_once()).unwrap();
    assert_eq!(plan.blobs, [(Digest::of(b"garbage"), 7)]);
    assert_eq!(plan.freed_bytes, 7);
    assert_eq!(blobs(&store), before + 1, "a plan removes nothing");
    assert_eq!(store.execute_gc(&plan).unwrap().freed_bytes, 7);
    assert_eq!(blobs(&store), before);
    store.open_blob(&trusted(&signature)).unwrap();

    store.untag(&name).unwrap();
    assert_eq!(collect(&store), before);
    assert_eq!(blobs(&store), 0);
    assert_eq!(store.referrers(&module.digest).unwrap(), [], "its list went with it");
}

#[test]
fn pins_and_leases_keep() {
    let (_folder, store) = store();
    let module = fixture::module(&store);
    let name = reference("demo/app:v1");
    store.tag(&name, &module).unwrap();
    store.pin(&name).unwrap();
    assert_eq!(store.pins().unwrap().keys().collect::<Vec<_>>(), ["demo/app:v1"]);
    store.untag(&name).unwrap();
    assert_eq!(collect(&store), 0);
    store.unpin(&name).unwrap();
    assert!(matches!(store.unpin(&name), Err(StoreError::UnknownReference { .. })));

    let lease = store.lease("test", &[module.digest]).unwrap();
    assert_eq!(collect(&store), 0);
    assert!(!store.leases().unwrap()[0].is_void);
    let later = SystemTime::now() + Duration::from_secs(3600);
    let path = store.lease_until("test", &[module.digest], later).unwrap();
    drop(lease);
    assert_eq!(store.leases().unwrap().len(), 1);
    assert_eq!(collect(&store), 0);
    store.release(&path).unwrap();
    store
        .lease_until("test", &[module.digest], SystemTime::now() - Duration::from_secs(1))
        .unwrap();
    assert!(store.leases().unwrap()[0].is_void);
    assert_eq!(collect(&store), 3);
    assert_eq!(store.leases().unwrap().len(), 0, "void leases are removed");
    assert!(store.release(&PathBuf::from("/etc/hostname")).is_err());
}

/// Tells the child process of the next test which store to lease in.
const CHILD_STORE: &str = "DUNLIN_TEST_LEASE_STORE";

#[test]
#[allow(
    clippy::disallowed_methods,
    reason = "the child is told by the environment what to do"
)]
fn the_lease_of_a_dead_process_is_void() {
    if let Some(root) = std::env::var_os(CHILD_STORE) {
        let store = Store::open(&PathBuf::from(root), false).unwrap();
        let _lease = store.lease("child", &[Digest::of(MODULE)]).unwrap();
        fs_err::write(store.root().join("ready"), b"").unwrap();
        std::thread::sleep(Duration::from_secs(60));
        return;
    }
    let (folder, store) = store();
    store.put_bytes("a/b", MODULE).unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "the_lease_of_a_dead_process_is_void"])
        .env(CHILD_STORE, folder.path())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    for _ in 0..600 {
        if folder.path().join("ready").exists() {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(collect(&store), 0);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(collect(&store), 1);
}

#[test]
fn tags_are_evicted_by_last_use_and_never_when_pinned() {
    let (folder, store) = store();
    let mut names = Vec::new();
    for number in 0..4_u8 {
        let weights = [b"GGUF\x03\0\0\0".as_slice(), &vec![number; 1 << 20]].concat();
        let spec = pack::ModelSpec {
            files: vec![fixture::file(folder.path(), "model.gguf", &weights)],
            ..pack::ModelSpec::default()
        };
        let model = pack::pack_model(&store, spec, &|_| {}).unwrap();
        let name = reference(&format!("demo/m{number}:v1"));
        store.tag(&name, &model).unwrap();
        store.mark_used(&model.digest);
        let used = store.root().join("used").join(model.digest.hex());
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1000 - u64::from(number));
        fs_err::File::open(&used).unwrap().file().set_modified(time).unwrap();
        names.push(name);
    }
    // The one unused for longest is m3, but it is pinned.
    store.pin(&names[3]).unwrap();
    let evict = |high_bytes, low_bytes| GcOptions {
        evict: Some(Evict {
            high_bytes,
            low_bytes,
            min_free_bytes: 0,
        }),
        ..at_once()
    };
    assert_eq!(store.plan_gc(&evict(5 << 20, 0)).unwrap().evict, []);
    let plan = store.plan_gc(&evict(4 << 20, 3 << 20)).unwrap();
    let evicted: Vec<_> = plan.evict.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(evicted, ["demo/m2:v1", "demo/m1:v1"]);
    store.pin(&names[1]).unwrap();
    let report = store.execute_gc(&plan).unwrap();
    assert_eq!(report.evicted, ["demo/m2:v1"], "it was pinned meanwhile");
    assert!(store.resolve(&names[1]).is_ok() && store.resolve(&names[2]).is_err());
    let plan = store.plan_gc(&evict(0, 0)).unwrap();
    assert_eq!(plan.evict.len(), 1);
    assert!(plan.missing_bytes > 2 << 20);
}

#[test]
fn a_layer_that_is_called_something_else_hides_nothing() {
    let (_folder, store) = store();
    let victim = fixture::model(&store);
    store.tag(&reference("demo/victim:v1"), &victim).unwrap();
    // Another artifact has the victim's manifest as a layer.
    let layer = Descriptor::new("text/plain", victim.digest, victim.size);
    let config = store.put_bytes("application/vnd.oci.empty.v1+json", b"{}").unwrap();
    let manifest = dunlin_models::manifest::Manifest::new(config, vec![layer]);
    let bytes = serde_json::to_vec(&manifest).unwrap();
    let hostile = store.put_bytes(dunlin_models::media_type::MANIFEST, &bytes).unwrap();
    for name in ["a/hostile:v1", "z/hostile:v1"] {
        store.tag(&reference(name), &hostile).unwrap();
    }
    assert_eq!(collect(&store), 0);
}

#[test]
fn stale_parts_go_at_once_and_others_wait() {
    let (_folder, store) = store();
    let module = fixture::module(&store);
    store.tag(&reference("demo/app:v1"), &module).unwrap();
    let ingest = store.root().join("ingest");
    let other = Digest::of(b"other").hex();
    for name in [
        format!("part-{}", module.digest.hex()),
        format!("part-{}.journal", Digest::of(b"orphan").hex()),
        format!("part-{other}"),
        format!("part-{other}.journal"),
    ] {
        fs_err::write(ingest.join(name), b"x").unwrap();
    }
    store
        .execute_gc(&store.plan_gc(&GcOptions::default()).unwrap())
        .unwrap();
    let mut left = ingest_files(&store);
    left.sort();
    assert_eq!(left, [format!("part-{other}"), format!("part-{other}.journal")]);
    let held = fs_err::File::open(ingest.join(format!("part-{other}"))).unwrap();
    held.file().lock().unwrap();
    collect(&store);
    assert_eq!(ingest_files(&store).len(), 2, "somebody is fetching it");
    drop(held);
    collect(&store);
    assert_eq!(ingest_files(&store), Vec::<String>::new());
}

#[test]
fn an_unreadable_manifest_stops_the_collection() {
    let (_folder, store) = store();
    let module = fixture::module(&store);
    store.tag(&reference("demo/app:v1"), &module).unwrap();
    damage(&store, &module.digest);
    assert!(matches!(
        store.plan_gc(&at_once()),
        Err(StoreError::DigestMismatch { .. })
    ));
}

#[test]
fn writers_and_a_collector_at_once() {
    let (folder, store) = store();
    let stop = Arc::new(AtomicBool::new(false));
    let collector = {
        let (store, stop) = (Store::open(folder.path(), false).unwrap(), Arc::clone(&stop));
        std::thread::spawn(move || {
            let mut removed = 0;
            while !stop.load(Ordering::SeqCst) {
                removed += collect(&store);
            }
            removed
        })
    };
    let writers: Vec<_> = (0..3)
        .map(|writer| {
            let store = Store::open(folder.path(), false).unwrap();
            std::thread::spawn(move || {
                for round in 0..30 {
                    // As a pull does it: a lease first, then a look at what is there, and the tag last.
                    let content = format!("layer {}", round % 5);
                    let layer = Descriptor::of("a/b", content.as_bytes());
                    let config = Descriptor::of("application/vnd.oci.empty.v1+json", b"{}");
                    let manifest = dunlin_models::manifest::Manifest::new(config.clone(), vec![layer.clone()]);
                    let bytes = serde_json::to_vec(&manifest).unwrap();
                    let root = Descriptor::of(dunlin_models::media_type::MANIFEST, &bytes);
                    let lease = store
                        .lease("writer", &[layer.digest, config.digest, root.digest])
                        .unwrap();
                    if !store.contains(&layer.digest) {
                        store.put_bytes("a/b", content.as_bytes()).unwrap();
                    }
                    if !store.contains(&config.digest) {
                        store.put_bytes(&config.media_type, b"{}").unwrap();
                    }
                    std::thread::sleep(Duration::from_millis(1));
                    store.put_bytes(&root.media_type, &bytes).unwrap();
                    let name = reference(&format!("demo/w{writer}:r{round}"));
                    store.tag(&name, &root).unwrap();
                    drop(lease);
                    std::thread::sleep(Duration::from_millis(1));
                    store.open_blob(&trusted(&layer)).unwrap();
                    store.open_blob(&trusted(&config)).unwrap();
                    store.open_blob(&trusted(&root)).unwrap();
                    store.untag(&name).unwrap();
                }
            })
        })
        .collect();
    for writer in writers {
        writer.join().unwrap();
    }
    stop.store(true, Ordering::SeqCst);
    assert!(collector.join().unwrap() > 0);
    collect(&store);
    assert_eq!(blobs(&store), 0);
    assert_eq!(ingest_files(&store), Vec::<String>::new());
}

fn damage(store: &Store, digest: &Digest) {
    let path = store.root().join("blobs/sha256").join(digest.hex());
    let mut bytes = fs_err::read(&path).unwrap();
    bytes[0] ^= 1;
    fs_err::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    fs_err::write(&path, bytes).unwrap();
}

#[test]
fn fsck_finds_and_mends() {
    let (_folder, store) = store();
    let module = fixture::module(&store);
    let model = fixture::model(&store);
    fixture::sign(&store, &module, &key());
    store.tag(&reference("demo/app:v1"), &module).unwrap();
    store.tag(&reference("demo/model:v1"), &model).unwrap();
    let sound = store.fsck(&|_| {}).unwrap();
    assert_eq!(sound.damages, []);
    assert_eq!(sound.blobs, blobs(&store));

    damage(&store, &Digest::of(MODULE));
    fs_err::remove_file(store.root().join("blobs/sha256").join(model.digest.hex())).unwrap();
    fs_err::write(store.root().join("blobs/sha256/README"), b"hello").unwrap();
    fs_err::write(store.root().join("ingest/new-dead"), b"x").unwrap();
    store.lease_until("gone", &[], SystemTime::UNIX_EPOCH).unwrap();
    let report = store.fsck(&|_| {}).unwrap();
    let has = |wanted: &dyn Fn(&Damage) -> bool| report.damages.iter().filter(|damage| wanted(damage)).count();
    assert_eq!(
        has(&|damage| matches!(damage, Damage::Corrupt { digest, .. } if *digest == Digest::of(MODULE))),
        1
    );
    assert_eq!(
        has(&|damage| matches!(damage, Damage::Missing { needed_by, .. } if *needed_by == module.digest)),
        1
    );
    assert_eq!(
        has(&|damage| matches!(damage, Damage::Dangling { name, .. } if name == "demo/model:v1")),
        1
    );
    assert_eq!(has(&|damage| matches!(damage, Damage::NotABlob { .. })), 1);
    assert_eq!(has(&|damage| matches!(damage, Damage::Leftover { .. })), 1);
    assert_eq!(has(&|damage| matches!(damage, Damage::VoidLease { .. })), 1);
    assert_eq!(report.damages.len(), 6, "{:?}", report.damages);

    let mended = store.mend(&report).unwrap();
    assert_eq!(
        (mended.quarantined, mended.dropped, mended.removed, mended.left.len()),
        (2, 1, 2, 1)
    );
    assert!(!store.contains(&Digest::of(MODULE)), "the next pull fetches it again");
    assert_eq!(fs_err::read_dir(store.root().join("quarantine")).unwrap().count(), 2);
    store.put_bytes("application/wasm", MODULE).unwrap();
    assert_eq!(store.fsck(&|_| {}).unwrap().damages, []);
}
