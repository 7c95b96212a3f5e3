//! The content store: integrity, concurrency between threads and processes, full disks, layouts of others.
#![allow(clippy::unwrap_used, reason = "tests")]

mod fixture;

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use dunlin_models::store::StoreError;
use dunlin_models::{Descriptor, Digest, Store};
use fixture::{ingest_files, module, reference, store, trusted};

/// Tells the child process of `writers_in_several_processes` which store to write to.
const CHILD_STORE: &str = "DUNLIN_TEST_STORE";
const TAGS_PER_WRITER: usize = 20;

fn blob_path(store: &Store, digest: &Digest) -> std::path::PathBuf {
    store.root().join("blobs/sha256").join(digest.hex())
}

/// Changes a committed blob behind the store's back.
fn tamper(store: &Store, digest: &Digest, content: &[u8]) {
    let path = blob_path(store, digest);
    fs_err::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    fs_err::write(path, content).unwrap();
}

#[test]
fn blobs_come_back_as_they_went_in() {
    let (folder, store) = store();
    let content: Vec<u8> = (0..3_000_000_u32).map(|i| i.to_le_bytes()[0]).collect();
    let path = folder.path().join("source");
    fs_err::write(&path, &content).unwrap();
    let seen = std::cell::Cell::new(0);
    let descriptor = store.put_file(&path, "a/b", &|n| seen.set(seen.get() + n)).unwrap();
    assert_eq!(descriptor, Descriptor::of("a/b", &content));
    assert_eq!(seen.get(), descriptor.size);
    let blob = store.open_blob(&trusted(&descriptor)).unwrap();
    assert_eq!(blob.as_ref(), content);
    assert_eq!(blob.len(), content.len());
    assert_eq!(blob.path(), blob_path(&store, &descriptor.digest));
    let empty = store.put_bytes("a/b", b"").unwrap();
    assert!(store.open_blob(&trusted(&empty)).unwrap().is_empty());
    assert_eq!(ingest_files(&store), Vec::<String>::new());
}

#[test]
fn flipped_truncated_and_replaced_blobs_are_refused() {
    let (_folder, store) = store();
    let put = |content: &[u8]| store.put_bytes("a/b", content).unwrap();
    let open = |descriptor: &Descriptor| store.open_blob(&trusted(descriptor));

    let flipped = put(b"0123456789");
    tamper(&store, &flipped.digest, b"0123456788");
    let error = open(&flipped).unwrap_err();
    assert!(
        matches!(&error, StoreError::DigestMismatch { digest, found, path: Some(_) }
        if *digest == flipped.digest && *found == Digest::of(b"0123456788")),
        "{error}"
    );
    assert!(error.hint().unwrap().contains("delete"));
    assert!(matches!(
        store.read_document(&flipped),
        Err(StoreError::DigestMismatch { .. })
    ));

    let cut = put(b"abcdefghij");
    tamper(&store, &cut.digest, b"abcdefghi");
    assert!(matches!(
        open(&cut),
        Err(StoreError::SizeMismatch {
            expected: 10,
            found: 9,
            ..
        })
    ));

    let linked = put(b"linked");
    let elsewhere = store.root().join("elsewhere");
    fs_err::write(&elsewhere, b"linked").unwrap();
    fs_err::remove_file(blob_path(&store, &linked.digest)).unwrap();
    fs_err::os::unix::fs::symlink(&elsewhere, blob_path(&store, &linked.digest)).unwrap();
    assert!(matches!(open(&linked), Err(StoreError::NotAFile { .. })));
    assert!(!store.contains(&linked.digest));

    let folder = put(b"folder");
    fs_err::remove_file(blob_path(&store, &folder.digest)).unwrap();
    fs_err::create_dir(blob_path(&store, &folder.digest)).unwrap();
    assert!(matches!(open(&folder), Err(StoreError::NotAFile { .. })));

    let gone = Descriptor::of("a/b", b"never stored");
    assert!(matches!(open(&gone), Err(StoreError::BlobMissing { .. })));
    let lying = Descriptor { size: 1, ..put(b"two") };
    assert!(matches!(open(&lying), Err(StoreError::SizeMismatch { .. })));
}

#[test]
fn storing_again_heals_a_damaged_blob() {
    let (_folder, store) = store();
    let descriptor = store.put_bytes("a/b", b"content").unwrap();
    tamper(&store, &descriptor.digest, b"c0ntent");
    store.put_bytes("a/b", b"content").unwrap();
    assert_eq!(store.open_blob(&trusted(&descriptor)).unwrap().as_ref(), b"content");
}

#[test]
fn an_open_blob_survives_its_removal() {
    let (_folder, store) = store();
    let descriptor = store.put_bytes("a/b", b"content").unwrap();
    let blob = store.open_blob(&trusted(&descriptor)).unwrap();
    fs_err::remove_file(blob.path()).unwrap();
    assert_eq!(blob.as_ref(), b"content");
}

#[test]
fn documents_are_capped() {
    let (_folder, store) = store();
    let large = store.put_bytes("a/b", &vec![b' '; (4 << 20) + 1]).unwrap();
    assert!(matches!(
        store.read_document(&large),
        Err(StoreError::DocumentTooLarge { .. })
    ));
}

#[test]
fn tags_resolve_move_and_go() {
    let (folder, store) = store();
    let (first, second) = (module(&store), fixture::model(&store));
    let name = reference("demo/echo:v1");
    assert!(matches!(store.resolve(&name), Err(StoreError::UnknownReference { .. })));
    store.tag(&name, &first).unwrap();
    store.tag(&reference("registry.example/a:x"), &second).unwrap();
    store.tag(&name, &second).unwrap();
    let again = Store::open(folder.path(), false).unwrap();
    assert_eq!(again.resolve(&name).unwrap(), second);
    let names: Vec<_> = again
        .list()
        .unwrap()
        .into_iter()
        .map(|entry| entry.reference().unwrap().to_string())
        .collect();
    assert_eq!(names, ["demo/echo:v1", "registry.example/a:x"]);
    assert_eq!(
        again.resolve(&name.with_digest(first.digest)).unwrap().digest,
        first.digest
    );
    again.untag(&name).unwrap();
    assert!(matches!(store.untag(&name), Err(StoreError::UnknownReference { .. })));
    assert!(matches!(
        store.tag(&name.with_digest(first.digest), &first),
        Err(StoreError::NotATag { .. })
    ));
    let missing = Descriptor::of("a/b", b"missing");
    assert!(matches!(
        store.tag(&name, &missing),
        Err(StoreError::BlobMissing { .. })
    ));
}

#[test]
fn threads_lose_no_tag() {
    let (_folder, store) = store();
    let descriptor = module(&store);
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let (store, descriptor) = (&store, &descriptor);
            scope.spawn(move || {
                for i in 0..TAGS_PER_WRITER {
                    store
                        .tag(&reference(&format!("demo/w{writer}:t{i}")), descriptor)
                        .unwrap();
                    assert!(store.list().unwrap().len() > i);
                }
            });
        }
    });
    assert_eq!(store.list().unwrap().len(), 4 * TAGS_PER_WRITER);
}

/// Run by `writers_in_several_processes`, and meaningless alone.
#[test]
#[allow(
    clippy::disallowed_methods,
    reason = "the parent says by the environment where to write"
)]
#[ignore = "the child half of writers_in_several_processes"]
fn child_writer() {
    let Some(root) = std::env::var_os(CHILD_STORE) else {
        return;
    };
    let store = Store::open(root.as_ref(), true).unwrap();
    let descriptor = module(&store);
    for i in 0..TAGS_PER_WRITER {
        let name = format!("demo/p{}:t{i}", std::process::id());
        store.put_bytes("a/b", name.as_bytes()).unwrap();
        store.tag(&reference(&name), &descriptor).unwrap();
    }
}

#[test]
fn writers_in_several_processes() {
    let folder = tempfile::tempdir().unwrap();
    let program = std::env::current_exe().unwrap();
    let spawn = || {
        Command::new(&program)
            .args(["--ignored", "--exact", "child_writer"])
            .env(CHILD_STORE, folder.path())
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap()
    };
    let children = [spawn(), spawn(), spawn()];
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let store = Store::open(folder.path(), false).unwrap();
    let entries = store.list().unwrap();
    assert_eq!(entries.len(), 3 * TAGS_PER_WRITER);
    for entry in entries {
        let content = entry.name.unwrap();
        assert!(store.contains(&Digest::of(content.as_bytes())), "{content}");
    }
    assert_eq!(ingest_files(&store), Vec::<String>::new());
}

#[test]
fn refuses_folders_that_are_no_store() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(
        Store::open(folder.path(), false),
        Err(StoreError::NotAStore { .. })
    ));
    Store::open(folder.path(), true).unwrap();
    let layout = folder.path().join("oci-layout");
    fs_err::write(&layout, br#"{"imageLayoutVersion":"9.0.0"}"#).unwrap();
    assert!(matches!(
        Store::open(folder.path(), true),
        Err(StoreError::LayoutVersion { .. })
    ));
    fs_err::write(&layout, br#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    let mut index = fs_err::File::create(folder.path().join("index.json")).unwrap();
    index.write_all(b"{\"schemaVersion\":2,").unwrap();
    let store = Store::open(folder.path(), false).unwrap();
    assert!(matches!(store.list(), Err(StoreError::BrokenIndex { .. })));
    assert!(matches!(
        store.tag(&reference("a:b"), &module(&store)),
        Err(StoreError::BrokenIndex { .. })
    ));

    let linked = tempfile::tempdir().unwrap();
    Store::open(linked.path(), true).unwrap();
    fs_err::rename(linked.path().join("blobs"), linked.path().join("real")).unwrap();
    fs_err::os::unix::fs::symlink(linked.path().join("real"), linked.path().join("blobs")).unwrap();
    assert!(matches!(
        Store::open(linked.path(), false),
        Err(StoreError::NotAStore { .. })
    ));
}

#[test]
fn layouts_of_others_are_read_only_and_bare_tags_work() {
    let (folder, writer) = store();
    let descriptor = module(&writer);
    writer.tag(&reference("demo/echo:v1"), &descriptor).unwrap();
    let index = folder.path().join("index.json");
    let text = fs_err::read_to_string(&index).unwrap();
    fs_err::write(&index, text.replace("demo/echo:v1", "v1")).unwrap();
    let layout = Store::open_layout(folder.path()).unwrap();
    assert_eq!(layout.layout_entry(Some("v1")).unwrap(), descriptor);
    assert_eq!(layout.layout_entry(None).unwrap(), descriptor);
    assert!(matches!(
        layout.layout_entry(Some("v2")),
        Err(StoreError::UnknownReference { .. })
    ));
    assert!(matches!(
        layout.put_bytes("a/b", b"x"),
        Err(StoreError::ReadOnly { .. })
    ));
    assert!(matches!(
        layout.tag(&reference("a:b"), &descriptor),
        Err(StoreError::ReadOnly { .. })
    ));
    writer.tag(&reference("demo/other:v1"), &descriptor).unwrap();
    assert!(matches!(
        layout.layout_entry(None),
        Err(StoreError::NoSingleEntry { entries: 2, .. })
    ));
}

#[test]
fn referrers_are_listed_once_and_found_by_subject_in_layouts() {
    let (folder, store) = store();
    let subject = module(&store);
    let key = fixture::key();
    let signature = fixture::sign(&store, &subject, &key);
    store.add_referrer(&subject.digest, &signature).unwrap();
    assert_eq!(
        store.referrers(&subject.digest).unwrap(),
        std::slice::from_ref(&signature)
    );
    assert_eq!(store.list().unwrap(), []);
    assert_eq!(store.referrers(&signature.digest).unwrap(), []);
    // As oras writes a layout: no list, but the signature's manifest beside the artifact.
    let index = folder.path().join("index.json");
    let text = format!(
        r#"{{"schemaVersion":2,"manifests":[{}]}}"#,
        serde_json::to_string(&Descriptor::new(
            &signature.media_type,
            signature.digest,
            signature.size
        ))
        .unwrap()
    );
    fs_err::write(index, text).unwrap();
    let layout = Store::open_layout(folder.path()).unwrap();
    let found = layout.referrers(&subject.digest).unwrap();
    assert_eq!(
        found.iter().map(|entry| entry.digest).collect::<Vec<_>>(),
        [signature.digest]
    );
}

/// Needs root, which CI need not have; elsewhere there is no small disk to fill.
#[test]
#[allow(clippy::print_stderr, reason = "a skipped test must not look like one that ran")]
fn a_full_disk_is_said_so_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mount = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"])
        .arg(folder.path())
        .output();
    if !mount.is_ok_and(|mount| mount.status.success()) {
        eprintln!("skipped: no right to mount a tmpfs");
        return;
    }
    let outcome = std::panic::catch_unwind(|| {
        let store = Store::open(folder.path(), true).unwrap();
        let error = store.put_bytes("a/b", &vec![7; 4 << 20]).unwrap_err();
        assert!(matches!(error, StoreError::NoSpace { .. }), "{error}");
        assert_eq!(ingest_files(&store), Vec::<String>::new());
        store.put_bytes("a/b", b"there is room again").unwrap();
    });
    assert!(Command::new("umount").arg(folder.path()).status().unwrap().success());
    outcome.unwrap();
}
