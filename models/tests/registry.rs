//! Push and pull against a real registry (distribution 2.8, which has no referrers API), when it is installed.
#![allow(clippy::unwrap_used, reason = "tests")]

mod fixture;

use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dunlin_models::artifact::{self, Artifact, ModelLink};
use dunlin_models::pack::{self, ModuleSpec};
use dunlin_models::registry::{
    Progress, PullError, PullOptions, PushError, PushOptions, Registry, RegistryConfig, RetryPolicy, TransportError,
};
use dunlin_models::verify::Verdict;
use dunlin_models::{Descriptor, Reference, Store, Verifier};
use fixture::{MODULE, key, policy, reference, store};

/// A registry process that ends with the test.
struct Distribution {
    child: Child,
    host: String,
    _folder: tempfile::TempDir,
}

impl Drop for Distribution {
    fn drop(&mut self) {
        // A process that is gone already is as good as killed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Distribution {
    /// `None` where it is not installed; in CI it must be.
    fn start() -> Option<Self> {
        let installed = Command::new("docker-registry")
            .arg("--version")
            .stdout(Stdio::null())
            .status();
        if installed.is_err() {
            fixture::missing("docker-registry");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        // The port is free now; should somebody else take it first, the start fails and the next port is tried.
        for _ in 0..5 {
            let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let host = free.local_addr().unwrap().to_string();
            drop(free);
            let config = folder.path().join("config.yml");
            let root = folder.path().join("data");
            let text = format!(
                "version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\n\
                 http: {{addr: \"{host}\"}}\n",
                root.display()
            );
            fs_err::write(&config, text).unwrap();
            let mut child = Command::new("docker-registry")
                .arg("serve")
                .arg(&config)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            for _ in 0..300 {
                if TcpStream::connect(&host).is_ok() {
                    return Some(Self {
                        child,
                        host,
                        _folder: folder,
                    });
                }
                if child.try_wait().unwrap().is_some() {
                    break;
                }
                std::thread::sleep(Duration::from_millis(50));
            }
            let _ = child.kill();
            let _ = child.wait();
        }
        panic!("docker-registry does not start");
    }

    fn name(&self, path: &str) -> Reference {
        reference(&format!("{}/{path}", self.host))
    }
}

fn client() -> Registry {
    let retry = RetryPolicy {
        retries: 1,
        base: Duration::from_millis(10),
        cap: Duration::from_secs(1),
    };
    Registry::new(RegistryConfig {
        plain_http_loopback: true,
        retry,
        ..RegistryConfig::default()
    })
    .unwrap()
}

/// A bundle of a module and a model with 9 MiB of weights, tagged `demo/app:v1`.
fn bundle(store: &Store) -> Descriptor {
    let folder = tempfile::tempdir().unwrap();
    let mut weights = b"GGUF\x03\0\0\0".to_vec();
    weights.extend((0..9_u32 << 20).map(|i| i.wrapping_mul(2_654_435_761).to_be_bytes()[0]));
    let spec = pack::ModelSpec {
        files: vec![fixture::file(folder.path(), "model.gguf", &weights)],
        ..pack::ModelSpec::default()
    };
    let model = pack::pack_model(store, spec, &|_| {}).unwrap();
    let link = ModelLink {
        name: "default".to_owned(),
        digest: model.digest,
        reference: None,
        encoding: Some("gguf".to_owned()),
        optional: false,
    };
    let spec = ModuleSpec {
        wasm: MODULE.to_vec(),
        models: vec![link],
        ..ModuleSpec::default()
    };
    let module = pack::pack_module(store, spec).unwrap();
    let bundle = pack::pack_bundle(store, &module, &[model]).unwrap();
    store.tag(&reference("demo/app:v1"), &bundle).unwrap();
    bundle
}

#[derive(Default)]
struct Bytes(AtomicU64);

impl Progress for Bytes {
    fn advance(&self, _: &Descriptor, bytes: u64) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signed_bundle_goes_there_and_back() {
    let Some(registry) = Distribution::start() else { return };
    let (_source_folder, source) = store();
    let root = bundle(&source);
    let (key, second) = (key(), fixture::key());
    fixture::sign(&source, &root, &key);
    let remote = registry.name("team/app:v1");
    let client = client();
    let sent = Arc::new(Bytes::default());
    let options = PushOptions {
        progress: Arc::clone(&sent) as _,
        ..PushOptions::default()
    };
    let report = client
        .push(&source, &reference("demo/app:v1"), &remote, options)
        .await
        .unwrap();
    assert_eq!(report.descriptor.digest, root.digest);
    assert_eq!((report.sent, report.reused, report.referrers), (4, 0, 1));
    // The signature's own blobs come on top.
    assert!(sent.0.load(Ordering::Relaxed) > report.bytes);

    // A second signature joins the first in the fallback list, and no blob is sent twice.
    fixture::sign(&source, &root, &second);
    let report = client
        .push(&source, &reference("demo/app:v1"), &remote, PushOptions::default())
        .await
        .unwrap();
    assert_eq!(
        (report.sent, report.reused, report.bytes, report.referrers),
        (0, 4, 0, 2)
    );

    for key in [&key, &second] {
        let (_folder, target) = store();
        let received = Arc::new(Bytes::default());
        let options = PullOptions {
            progress: Arc::clone(&received) as _,
            ..PullOptions::default()
        };
        let verifier = Verifier::new(policy(key));
        let report = client.pull(&target, &remote, &verifier, options).await.unwrap();
        assert_eq!((report.fetched, report.signatures), (4, 2));
        assert_eq!(received.0.load(Ordering::Relaxed), report.bytes);
        assert!(matches!(report.descriptor.verdict(), Verdict::Signed { .. }));
        let Artifact::Bundle(opened) = artifact::open(&target, report.descriptor).unwrap() else {
            panic!("no bundle")
        };
        let weight = opened.model("default").unwrap().weights().next().unwrap();
        assert_eq!(target.open_blob(&weight.blob).unwrap().len(), (9 << 20) + 8);
        // Offline.
        let descriptor = target.resolve(&remote).unwrap();
        verifier.verify(&target, &remote, &descriptor).unwrap();
    }

    let (_folder, target) = store();
    let stranger = Verifier::new(policy(&fixture::key()));
    let refused = client.pull(&target, &remote, &stranger, PullOptions::default()).await;
    assert!(matches!(refused, Err(PullError::Refused { .. })));
    assert!(target.list().unwrap().is_empty());

    let pinned = registry.name(&format!("team/app@{}", root.digest));
    let report = client
        .pull(&target, &pinned, &Verifier::new(policy(&key)), PullOptions::default())
        .await
        .unwrap();
    assert_eq!(target.resolve(&pinned).unwrap().digest, report.descriptor.digest);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_there_is_said_so() {
    let Some(registry) = Distribution::start() else { return };
    let (_folder, store) = store();
    let client = client();
    let missing = registry.name("team/none:v1");
    let pulled = client
        .pull(&store, &missing, &Verifier::deny_all(), PullOptions::default())
        .await;
    let error = pulled.unwrap_err();
    assert!(
        matches!(
            &error,
            PullError::Manifest {
                source: TransportError::Status { status: 404, .. },
                ..
            }
        ),
        "{error:?}"
    );
    assert!(error.hint().is_some());
    let push = async |local: &str, remote: &Reference| {
        client
            .push(&store, &reference(local), remote, PushOptions::default())
            .await
            .unwrap_err()
    };
    assert!(matches!(push("demo/none:v1", &missing).await, PushError::Store { .. }));
    let root = bundle(&store);
    assert!(matches!(
        push("demo/app:v1", &reference("demo/local")).await,
        PushError::NoRegistry { .. }
    ));
    let other = registry.name(&format!("a@{}", dunlin_models::Digest::of(b"other")));
    assert!(
        matches!(push("demo/app:v1", &other).await, PushError::OtherDigest { digest, .. } if digest == root.digest)
    );

    // A damaged blob is not pushed: the registry's own check refuses it, and the tag does not appear.
    let weights = fs_err::read_dir(store.root().join("blobs/sha256")).unwrap();
    let weights = weights
        .map(|entry| entry.unwrap().path())
        .max_by_key(|path| fs_err::metadata(path).unwrap().len());
    let path = weights.unwrap();
    let mut bytes = fs_err::read(&path).unwrap();
    bytes[100] ^= 1;
    fs_err::remove_file(&path).unwrap();
    fs_err::write(&path, bytes).unwrap();
    let remote = registry.name("team/damaged:v1");
    assert!(matches!(push("demo/app:v1", &remote).await, PushError::Blob { .. }));
    let pulled = client
        .pull(&store, &remote, &Verifier::deny_all(), PullOptions::default())
        .await;
    assert!(matches!(pulled, Err(PullError::Manifest { .. })));
}

/// Another tool of the field reads our store as an image layout, and we read what it writes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn skopeo_copies_both_ways() {
    let Some(registry) = Distribution::start() else { return };
    if Command::new("skopeo")
        .arg("--version")
        .stdout(Stdio::null())
        .status()
        .is_err()
    {
        fixture::missing("skopeo");
        return;
    }
    let (folder, source) = store();
    let root = fixture::module(&source);
    source.tag(&reference("demo/app:v1"), &root).unwrap();
    let skopeo = |from: &str, to: &str| {
        let arguments = [
            "--insecure-policy",
            "copy",
            "-q",
            "--src-tls-verify=false",
            "--dest-tls-verify=false",
            from,
            to,
        ];
        Command::new("skopeo").args(arguments).status().unwrap().success()
    };
    let remote = format!("docker://{}/team/copied:v1", registry.host);
    assert!(skopeo(&format!("oci:{}:demo/app:v1", folder.path().display()), &remote));
    let (_target_folder, target) = store();
    let options = PullOptions {
        allow_unsigned: true,
        ..PullOptions::default()
    };
    let name = registry.name("team/copied:v1");
    let report = client()
        .pull(&target, &name, &Verifier::deny_all(), options)
        .await
        .unwrap();
    assert_eq!(report.descriptor.digest, root.digest);

    let layout = tempfile::tempdir().unwrap();
    assert!(skopeo(&remote, &format!("oci:{}:v1", layout.path().display())));
    let layout = Store::open_layout(layout.path()).unwrap();
    let entry = layout.layout_entry(Some("v1")).unwrap();
    assert_eq!(entry.digest, root.digest);
    let trusted = fixture::trusted(&entry);
    assert!(matches!(artifact::open(&layout, trusted).unwrap(), Artifact::Module(_)));
}
