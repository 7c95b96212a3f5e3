//! Export and import: there and back, the same bits each time, readable by skopeo, and nothing hostile gets in.
#![allow(clippy::unwrap_used, reason = "tests")]

mod fixture;

use std::cell::Cell;
use std::io::Read;
use std::process::{Command, Stdio};

use dunlin_models::artifact::ModelLink;
use dunlin_models::pack::{self, ModuleSpec};
use dunlin_models::store::StoreError;
use dunlin_models::store::archive::{ArchiveError, ExportOptions, ImportOptions, TapeError};
use dunlin_models::{Descriptor, Digest, Store, Verifier, media_type};
use fixture::{MODULE, key, policy, reference, store};

/// A signed module that links a model, tagged `demo/app:v1`.
fn publish(store: &Store, key: &dunlin_models::key::KeyPair) -> Descriptor {
    let model = fixture::model(store);
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
    let module = pack::pack_module(store, spec).unwrap();
    fixture::sign(store, &module, key);
    store.tag(&reference("demo/app:v1"), &module).unwrap();
    module
}

fn export(store: &Store) -> Vec<u8> {
    let options = ExportOptions {
        trusted_root: Some(b"{\"root\":1}".to_vec()),
        policy: Some(b"kind: TrustPolicy\n".to_vec()),
        ..ExportOptions::default()
    };
    let mut bytes = Vec::new();
    let told = Cell::new(0);
    let report = store
        .export_tar(&mut bytes, &options, &|n| told.set(told.get() + n))
        .unwrap();
    assert_eq!((report.artifacts, told.get()), (1, report.bytes));
    bytes
}

fn import(bytes: &[u8]) -> (tempfile::TempDir, Store, Result<(), ArchiveError>) {
    let (folder, store) = store();
    let result = store.import_tar(&mut &*bytes, &ImportOptions::default(), &|_| {});
    if result.is_err() {
        assert_eq!(store.list().unwrap(), []);
    }
    (folder, store, result.map(drop))
}

#[test]
fn there_and_back_with_signatures_and_models() {
    let (_folder, from) = store();
    let key = key();
    let module = publish(&from, &key);
    let bytes = export(&from);
    assert!(bytes == export(&from), "two exports differ");
    let (_other, to) = store();
    let report = to.import_tar(&mut &*bytes, &ImportOptions::default(), &|_| {}).unwrap();
    assert_eq!(report.tagged, [(reference("demo/app:v1"), module.clone())]);
    assert_eq!((report.referrers, report.untagged.len()), (1, 0));
    assert_eq!(report.trusted_root.as_deref(), Some(b"{\"root\":1}".as_slice()));
    assert_eq!(report.policy.as_deref(), Some(b"kind: TrustPolicy\n".as_slice()));
    let verifier = Verifier::new(policy(&key));
    verifier
        .verify(
            &to,
            &reference("demo/app:v1"),
            &to.resolve(&reference("demo/app:v1")).unwrap(),
        )
        .unwrap();
    assert_eq!(to.fsck(&|_| {}).unwrap().damages, []);
    assert_eq!(export(&to), bytes, "an import exports the same");
    // Again, under another name.
    let options = ImportOptions {
        name: Some(reference("other/name:v2")),
        ..ImportOptions::default()
    };
    to.import_tar(&mut &*bytes, &options, &|_| {}).unwrap();
    assert_eq!(to.list().unwrap().len(), 2);
}

#[test]
fn as_a_folder() {
    let (folder, from) = store();
    let module = publish(&from, &key());
    let target = folder.path().join("export");
    from.export_layout(&target, &ExportOptions::default(), &|_| {}).unwrap();
    let again = from.export_layout(&target, &ExportOptions::default(), &|_| {});
    assert!(matches!(again, Err(ArchiveError::NotEmpty { .. })));
    let index = fs_err::read_to_string(target.join("index.json")).unwrap();
    assert!(index.contains("\"kind\":\"dev.cosignproject.cosign/image\""), "{index}");
    let (_other, to) = store();
    let report = to.import_layout(&target, &ImportOptions::default(), &|_| {}).unwrap();
    assert_eq!(report.tagged, [(reference("demo/app:v1"), module)]);
    let out = folder.path().join("copy");
    let skopeo = Command::new("skopeo")
        .args(["copy", "--quiet", "--insecure-policy"])
        .arg(format!("oci:{}:demo/app:v1", target.display()))
        .arg(format!("dir:{}", out.display()))
        .stderr(Stdio::piped())
        .output();
    let Ok(skopeo) = skopeo else {
        fixture::missing("skopeo");
        return;
    };
    assert!(skopeo.status.success(), "{}", String::from_utf8_lossy(&skopeo.stderr));
}

fn member(path: &str, kind: tar::EntryType, content: &[u8]) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
    header.set_size(u64::try_from(content.len()).unwrap());
    header.set_mode(0o644);
    header.set_entry_type(kind);
    header.set_cksum();
    let mut bytes = header.as_bytes().to_vec();
    bytes.extend_from_slice(content);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

#[test]
fn hostile_archives_are_refused() {
    let (_folder, from) = store();
    publish(&from, &key());
    let good = export(&from);
    for path in ["../../escape", "/absolute", "blobs/../../escape"] {
        let bytes = [member(path, tar::EntryType::Regular, b"x"), good.clone()].concat();
        let (folder, _, result) = import(&bytes);
        assert!(
            matches!(result, Err(ArchiveError::Tape(TapeError::UnsafePath { .. }))),
            "{path}"
        );
        assert!(!folder.path().parent().unwrap().join("escape").exists());
    }
    for kind in [tar::EntryType::Symlink, tar::EntryType::Link, tar::EntryType::Char] {
        let bytes = [member("blobs/sha256/x", kind, b""), good.clone()].concat();
        assert!(matches!(
            import(&bytes).2,
            Err(ArchiveError::Tape(TapeError::Kind { .. }))
        ));
    }
    for at in (0..good.len()).step_by(good.len() / 23) {
        let mut flipped = good.clone();
        flipped[at] ^= 1;
        // Padding is the only place where a flipped bit means nothing.
        let (_folder, store, result) = import(&flipped);
        if result.is_ok() {
            assert_eq!(store.fsck(&|_| {}).unwrap().damages, [], "byte {at}");
        }
        let (_folder, store, result) = import(&good[..at]);
        // Of the end, one block is as good as two.
        let is_whole = at >= good.len() - 512;
        assert!(
            is_whole || (result.is_err() && store.list().unwrap().is_empty()),
            "cut at {at}"
        );
    }
    let wrong = member(
        &format!("blobs/sha256/{}", Digest::of(b"a").hex()),
        tar::EntryType::Regular,
        b"b",
    );
    assert!(matches!(import(&wrong).2, Err(ArchiveError::WrongBlob { .. })));
    assert!(matches!(import(&[0; 1024]).2, Err(ArchiveError::MissingMember { .. })));
    assert!(matches!(import(&[]).2, Err(ArchiveError::Tape(TapeError::Read(_)))));
}

#[test]
fn incomplete_huge_and_endless_archives_are_refused() {
    let layout = member(
        "oci-layout",
        tar::EntryType::Regular,
        br#"{"imageLayoutVersion":"1.0.0"}"#,
    );
    let absent =
        Descriptor::of(media_type::MANIFEST, b"absent").annotated("org.opencontainers.image.ref.name", "a/b:c");
    let index = dunlin_models::manifest::Index::new(vec![absent]);
    let index = member(
        "index.json",
        tar::EntryType::Regular,
        &serde_json::to_vec(&index).unwrap(),
    );
    let end = vec![0; 1024];
    let result = import(&[layout.clone(), index, end.clone()].concat()).2;
    assert!(matches!(result, Err(ArchiveError::Incomplete { .. })), "{result:?}");
    let other = member(
        "oci-layout",
        tar::EntryType::Regular,
        br#"{"imageLayoutVersion":"2.0.0"}"#,
    );
    let index = member(
        "index.json",
        tar::EntryType::Regular,
        br#"{"schemaVersion":2,"manifests":[]}"#,
    );
    let result = import(&[other, index, end].concat()).2;
    assert!(
        matches!(result, Err(ArchiveError::Store(StoreError::LayoutVersion { .. }))),
        "{result:?}"
    );

    let mut header = tar::Header::new_gnu();
    header
        .set_path(format!("blobs/sha256/{}", Digest::of(b"x").hex()))
        .unwrap();
    header.set_size(1 << 60);
    header.set_cksum();
    let result = import(header.as_bytes()).2;
    assert!(
        matches!(result, Err(ArchiveError::Store(StoreError::InsufficientSpace { .. }))),
        "{result:?}"
    );
    header.set_path("index.json").unwrap();
    header.set_cksum();
    assert!(matches!(
        import(header.as_bytes()).2,
        Err(ArchiveError::MemberTooLarge { .. })
    ));
    header.set_path("something").unwrap();
    header.set_cksum();
    assert!(matches!(
        import(header.as_bytes()).2,
        Err(ArchiveError::TooLarge { .. })
    ));

    /// Members that mean nothing, for ever.
    struct Endless(Vec<u8>, usize);
    impl Read for Endless {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let n = buffer.len().min(self.0.len() - self.1);
            buffer[..n].copy_from_slice(&self.0[self.1..self.1 + n]);
            self.1 = (self.1 + n) % self.0.len();
            Ok(n)
        }
    }
    let (_folder, store) = store();
    for content in [vec![], vec![0; 1 << 20]] {
        let mut endless = Endless(member("something", tar::EntryType::Regular, &content), 0);
        let result = store.import_tar(&mut endless, &ImportOptions::default(), &|_| {});
        assert!(
            matches!(
                result,
                Err(ArchiveError::TooLarge { .. } | ArchiveError::Tape(TapeError::TooManyMembers))
            ),
            "{result:?}"
        );
    }
    let options = ImportOptions {
        max_bytes: Some(3),
        ..ImportOptions::default()
    };
    let blob = member(
        &format!("blobs/sha256/{}", Digest::of(b"blob").hex()),
        tar::EntryType::Regular,
        b"blob",
    );
    let result = store.import_tar(&mut blob.as_slice(), &options, &|_| {});
    assert!(matches!(result, Err(ArchiveError::TooLarge { limit: 3 })));
    assert_eq!(fixture::ingest_files(&store), Vec::<String>::new());
}
