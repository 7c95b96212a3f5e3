//! The download engine: ranges, interruptions, resumption, liars, and two who want the same blob.
#![allow(clippy::unwrap_used, reason = "tests")]

mod fixture;
mod server;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dunlin_models::registry::{
    Event, Progress, PullError, PullOptions, PullReport, Registry, RegistryConfig, RetryPolicy, TransferConfig,
    TransportError,
};
use dunlin_models::store::StoreError;
use dunlin_models::{Descriptor, Store, Verifier};
use fixture::{ingest_files, policy, reference, store};
use server::published::{Published, config, published_model, pull_with};
use server::{Reply, Request, Server, part};

const MIB: usize = 1 << 20;

/// Small ranges, so that small blobs have many.
fn small_ranges() -> RegistryConfig {
    RegistryConfig {
        transfer: TransferConfig {
            range_bytes: 1 << 20,
            ..TransferConfig::default()
        },
        ..config()
    }
}

/// Counts the bytes of the layer that a server was asked for.
fn asked_bytes(server: &Server, published: &Published) -> usize {
    let path = published.layer_path();
    let layer = published.content.body(&path).len();
    let requests = server.log().into_iter().filter(|request| request.path == path);
    requests
        .map(|request| {
            request
                .range
                .map_or(layer, |(first, last)| last.min(layer - 1) + 1 - first)
        })
        .sum()
}

fn assert_whole(store: &Store, published: &Published) {
    let path = published.layer_path();
    let blob = fs_err::read(store.root().join("blobs/sha256").join(published.layer.hex())).unwrap();
    assert!(blob == published.content.body(&path), "the blob has other bytes");
    assert_eq!(ingest_files(store), Vec::<String>::new());
}

/// Keeps the names of events.
#[derive(Default)]
struct Watch(Mutex<Vec<serde_json::Value>>);

impl Progress for Watch {
    fn event(&self, event: &Event<'_>) {
        self.0.lock().unwrap().push(serde_json::to_value(event).unwrap());
    }
}

impl Watch {
    fn named(&self, name: &str) -> Vec<serde_json::Value> {
        let events = self.0.lock().unwrap();
        events.iter().filter(|event| event["event"] == name).cloned().collect()
    }
}

async fn watched(
    config: RegistryConfig,
    server: &Server,
    store: &Store,
    published: &Published,
) -> (Result<PullReport, PullError>, Arc<Watch>) {
    let watch = Arc::new(Watch::default());
    let options = PullOptions {
        progress: Arc::clone(&watch) as Arc<dyn Progress>,
        ..PullOptions::default()
    };
    let name = reference(&format!("{}/demo/echo:v1", server.host));
    let verifier = Verifier::new(policy(&published.key));
    let registry = Registry::new(config).unwrap();
    (registry.pull(store, &name, &verifier, options).await, watch)
}

/// Stops a pull after the server has sent `limit` bytes of the layer, by dropping it.
async fn interrupted(published: &Published, store: &Store, limit: usize) {
    let (content, path, sent) = (published.content.clone(), published.layer_path(), AtomicUsize::new(0));
    let reached = Arc::new(tokio::sync::Notify::new());
    let signal = Arc::clone(&reached);
    let server = Server::start(move |request| {
        let reply = content.answer(request);
        if let (true, Reply::Whole(206, _, body)) = (request.path == path, &reply)
            && sent.fetch_add(body.len(), Ordering::SeqCst) >= limit
        {
            signal.notify_one();
            return Reply::Hang;
        }
        reply
    })
    .await;
    let config = small_ranges();
    let pull = pull_with(config, &server, store, &published.key);
    tokio::select! {
        result = pull => panic!("it should not end: {result:?}"),
        () = async { reached.notified().await; tokio::time::sleep(Duration::from_millis(300)).await } => {}
    }
}

/// Waits until nobody holds the partial blob, and returns the names in the ingest folder.
async fn settled(store: &Store) -> Vec<String> {
    for _ in 0..200 {
        let names = ingest_files(store);
        let free = names.iter().all(|name| {
            let file = fs_err::File::open(store.root().join("ingest").join(name)).unwrap();
            file.file().try_lock().is_ok()
        });
        if free {
            return names;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the lock is not released")
}

#[tokio::test]
async fn ranges_are_fetched_in_parallel_and_once() {
    let published = published_model(10 * MIB + 12_345);
    let content = published.content.clone();
    let server = Server::start(move |request| content.answer(request)).await;
    let (_folder, store) = store();
    let (result, watch) = watched(small_ranges(), &server, &store, &published).await;
    assert_eq!(result.unwrap().fetched, 2);
    assert_whole(&store, &published);
    assert_eq!(server.count(&published.layer.to_string()), 11);
    assert_eq!(asked_bytes(&server, &published), 10 * MIB + 12_345);
    let told: u64 = watch
        .named("progress")
        .iter()
        .map(|event| event["bytes"].as_u64().unwrap())
        .sum();
    let config_size = 10 * MIB + 12_345;
    assert!(told > u64::try_from(config_size).unwrap());
    assert_eq!(watch.named("done").len(), 2);
}

#[tokio::test]
async fn servers_without_ranges_send_it_in_one() {
    let published = published_model(5 * MIB + 1);
    let content = published.content.clone();
    let server = Server::start(move |request| {
        let whole = Request {
            range: None,
            ..request.clone()
        };
        content.answer(&whole)
    })
    .await;
    let (_folder, store) = store();
    pull_with(small_ranges(), &server, &store, &published.key)
        .await
        .unwrap();
    assert_whole(&store, &published);
    assert_eq!(server.count(&published.layer.to_string()), 1);
}

#[tokio::test]
async fn cut_connections_cost_only_what_was_not_sent() {
    for with_ranges in [true, false] {
        let published = published_model(6 * MIB);
        let (content, path) = (published.content.clone(), published.layer_path());
        let server = Server::start(move |request| {
            if request.path != path {
                return content.answer(request);
            }
            let body = content.body(&path);
            match request.range.filter(|_| with_ranges) {
                // A third of what is left, at least 300 KiB, and then the line goes dead.
                Some((first, last)) => match part(body, first, last) {
                    Reply::Whole(206, headers, body) if body.len() > 300 << 10 => {
                        let cut = (body.len() / 3).max(300 << 10);
                        Reply::Cut(206, headers, body.len(), body[..cut].to_vec())
                    }
                    whole => whole,
                },
                None if with_ranges => Reply::Short(body.len(), body[..300 << 10].to_vec()),
                None => Reply::ok(body),
            }
        })
        .await;
        let (_folder, store) = store();
        pull_with(small_ranges(), &server, &store, &published.key)
            .await
            .unwrap();
        assert_whole(&store, &published);
    }
}

#[tokio::test]
async fn a_dropped_pull_goes_on_where_it_stopped() {
    let published = published_model(24 * MIB);
    let (_folder, store) = store();
    interrupted(&published, &store, 16 * MIB).await;
    let left = settled(&store).await;
    let hex = published.layer.hex();
    assert!(
        left.contains(&format!("part-{hex}")) && left.contains(&format!("part-{hex}.journal")),
        "{left:?}"
    );
    assert!(!store.contains(&published.layer));
    let content = published.content.clone();
    let server = Server::start(move |request| content.answer(request)).await;
    let (result, watch) = watched(small_ranges(), &server, &store, &published).await;
    result.unwrap();
    assert_whole(&store, &published);
    let again = asked_bytes(&server, &published);
    assert!(again <= 24 * MIB - 15 * MIB, "{again} bytes were fetched again");
    let resumed = watch.named("resumed");
    assert_eq!(resumed.len(), 1);
    assert!(resumed[0]["at"].as_u64().unwrap() >= 15 << 20);
}

#[tokio::test]
async fn a_damaged_partial_is_thrown_away_once() {
    let published = published_model(8 * MIB);
    let (_folder, store) = store();
    interrupted(&published, &store, 4 * MIB).await;
    settled(&store).await;
    let path = store
        .root()
        .join("ingest")
        .join(format!("part-{}", published.layer.hex()));
    let mut bytes = fs_err::read(&path).unwrap();
    bytes[1000] ^= 1;
    fs_err::write(&path, bytes).unwrap();
    let content = published.content.clone();
    let server = Server::start(move |request| content.answer(request)).await;
    let (result, watch) = watched(small_ranges(), &server, &store, &published).await;
    result.unwrap();
    assert_whole(&store, &published);
    assert_eq!(watch.named("discarded").len(), 1);
}

#[tokio::test]
async fn a_registry_that_lies_is_not_asked_twice() {
    let published = published_model(3 * MIB);
    let (content, path) = (published.content.clone(), published.layer_path());
    let mut wrong = content.body(&path).to_vec();
    wrong[2 * MIB] ^= 1;
    let server = Server::start(move |request| match request.range {
        Some((first, last)) if request.path == path => part(&wrong, first, last),
        _ => content.answer(request),
    })
    .await;
    let (_folder, store) = store();
    let error = pull_with(small_ranges(), &server, &store, &published.key)
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            PullError::Keep {
                source: StoreError::DigestMismatch { .. },
                ..
            }
        ),
        "{error:?}"
    );
    assert_eq!(asked_bytes(&server, &published), 3 * MIB);
    assert_eq!(ingest_files(&store), Vec::<String>::new());
}

#[tokio::test]
async fn wrong_ranges_and_lengths_are_refused() {
    let published = published_model(3 * MIB);
    let path = published.layer_path();
    let body = published.content.body(&path).to_vec();
    type Lie = fn(&[u8], usize, usize) -> Reply;
    type Expected = fn(&TransportError) -> bool;
    let lies: [(Lie, Expected); 5] = [
        // Another part than asked for.
        (
            |body, first, last| part(body, first.saturating_sub(1), last),
            |error| matches!(error, TransportError::Protocol { .. } | TransportError::TooLong { .. }),
        ),
        // A larger whole.
        (
            |body, first, last| {
                let range = format!("bytes {first}-{last}/{}", body.len() + 1);
                Reply::Whole(206, vec![("content-range", range)], body[first..=last].to_vec())
            },
            |error| matches!(error, TransportError::TooLong { .. }),
        ),
        // More bytes than the range that it states.
        (
            |body, first, last| {
                let range = format!("bytes {first}-{last}/{}", body.len());
                Reply::Whole(206, vec![("content-range", range)], vec![0; last - first + 2])
            },
            |error| matches!(error, TransportError::TooLong { .. }),
        ),
        // No range at all.
        (
            |body, first, last| Reply::Whole(206, Vec::new(), body[first..=last].to_vec()),
            |error| matches!(error, TransportError::Protocol { .. }),
        ),
        // Everything, and more, for ever.
        (
            |_, _, _| Reply::Endless,
            |error| matches!(error, TransportError::TooLong { .. }),
        ),
    ];
    for (number, (lie, expected)) in lies.into_iter().enumerate() {
        let (content, path, body) = (published.content.clone(), path.clone(), body.clone());
        let server = Server::start(move |request| match request.range {
            Some((first, last)) if request.path == path => lie(&body, first, last),
            _ => content.answer(request),
        })
        .await;
        let (_folder, store) = store();
        let error = pull_with(small_ranges(), &server, &store, &published.key)
            .await
            .unwrap_err();
        let PullError::Blob { source, .. } = &error else {
            panic!("{number}: {error:?}")
        };
        assert!(expected(source), "{number}: {source:?}");
        assert!(!store.contains(&published.layer));
    }
}

#[tokio::test]
async fn a_drip_is_a_stall() {
    let published = published_model(2 * MIB);
    let (content, path) = (published.content.clone(), published.layer_path());
    let server = Server::start(move |request| {
        if request.path == path {
            Reply::Drip(content.body(&path).to_vec())
        } else {
            content.answer(request)
        }
    })
    .await;
    let config = RegistryConfig {
        stall_timeout: Duration::from_millis(400),
        retry: RetryPolicy {
            retries: 1,
            ..config().retry
        },
        ..config()
    };
    let (_folder, store) = store();
    let (result, watch) = watched(config, &server, &store, &published).await;
    let error = result.unwrap_err();
    assert!(
        matches!(
            error,
            PullError::Blob {
                source: TransportError::Stalled { .. },
                ..
            }
        ),
        "{error:?}"
    );
    assert_eq!(watch.named("retry").len(), 1);
}

#[tokio::test]
async fn a_stalled_range_is_fetched_on_another_connection() {
    let published = published_model(6 * MIB);
    let (content, path, hung) = (published.content.clone(), published.layer_path(), AtomicUsize::new(0));
    let server = Server::start(move |request| {
        let is_second = request.path == path && request.range.is_some_and(|(first, _)| first == 2 * MIB);
        if is_second && hung.fetch_add(1, Ordering::SeqCst) == 0 {
            return Reply::Hang;
        }
        content.answer(request)
    })
    .await;
    let config = RegistryConfig {
        stall_timeout: Duration::from_millis(400),
        ..small_ranges()
    };
    let (_folder, store) = store();
    pull_with(config, &server, &store, &published.key).await.unwrap();
    assert_whole(&store, &published);
}

#[tokio::test]
async fn expired_tokens_are_renewed_on_the_way() {
    let published = published_model(8 * MIB);
    let content = published.content.clone();
    let host = Arc::new(std::sync::OnceLock::<String>::new());
    let (own, uses) = (Arc::clone(&host), Mutex::new((0_usize, 0_usize)));
    let server = Server::start(move |request| {
        let mut uses = uses.lock().unwrap();
        if request.path.starts_with("/token") {
            *uses = (uses.0 + 1, 0);
            return Reply::ok(format!("{{\"token\":\"t{}\"}}", uses.0).as_bytes());
        }
        if request.authorization == Some(format!("Bearer t{}", uses.0)) && uses.1 < 4 {
            uses.1 += 1;
            return content.answer(request);
        }
        let realm = format!("Bearer realm=\"http://{}/token\",service=\"s\"", own.get().unwrap());
        Reply::with(401, "www-authenticate", &realm)
    })
    .await;
    host.set(server.host.clone()).unwrap();
    let (_folder, store) = store();
    let config = RegistryConfig {
        transfer: TransferConfig {
            range_bytes: 1 << 20,
            streams: 1,
            ..TransferConfig::default()
        },
        ..config()
    };
    pull_with(config, &server, &store, &published.key).await.unwrap();
    assert_whole(&store, &published);
    assert!(server.count("/token") >= 3, "{}", server.count("/token"));
}

#[tokio::test]
async fn two_who_want_the_same_blob_fetch_it_once() {
    let published = published_model(6 * MIB);
    let content = published.content.clone();
    let path = published.layer_path();
    let server = Server::start(move |request| {
        if request.path == path {
            std::thread::sleep(Duration::from_millis(20));
        }
        content.answer(request)
    })
    .await;
    let (_folder, store) = store();
    let pull = async || watched(small_ranges(), &server, &store, &published).await;
    let (first, second) = tokio::join!(pull(), pull());
    let (first, second) = ((first.0.unwrap(), first.1), (second.0.unwrap(), second.1));
    assert_whole(&store, &published);
    assert_eq!(asked_bytes(&server, &published), 6 * MIB);
    assert!(first.1.named("waiting").len() + second.1.named("waiting").len() >= 1);
}

#[tokio::test]
async fn what_cannot_fit_is_not_begun() {
    let published = published_model(2 * MIB);
    let huge = Descriptor {
        size: 1 << 60,
        ..Descriptor::of("application/vnd.cncf.model.weight.v1.raw", b"")
    };
    let config = published
        .store
        .put_bytes("application/vnd.oci.empty.v1+json", b"{}")
        .unwrap();
    let manifest = dunlin_models::manifest::Manifest::new(config, vec![huge]);
    let bytes = serde_json::to_vec(&manifest).unwrap();
    let root = published
        .store
        .put_bytes(dunlin_models::media_type::MANIFEST, &bytes)
        .unwrap();
    fixture::sign(&published.store, &root, &published.key);
    let content = server::Content::of(&published.store, &root);
    let (result, server) = server::published::outcome(content, &published.key).await;
    let error = result.unwrap_err();
    let PullError::Keep { source, .. } = &error else {
        panic!("{error:?}")
    };
    assert!(matches!(source, StoreError::InsufficientSpace { .. }), "{source:?}");
    assert!(source.hint().unwrap().contains("free some space"));
    assert_eq!(server.count(&Descriptor::of("", b"").digest.to_string()), 0);
}

/// Fills a small disk; needs the right to mount one.
#[tokio::test]
#[allow(clippy::print_stderr, reason = "a skipped test must not look like one that ran")]
async fn a_disk_that_fills_up_leaves_what_can_be_gone_on_from() {
    let folder = tempfile::tempdir().unwrap();
    let mount = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=40m", "tmpfs"])
        .arg(folder.path())
        .output();
    if !mount.is_ok_and(|mount| mount.status.success()) {
        eprintln!("skipped: no right to mount a tmpfs");
        return;
    }
    let store = Store::open(folder.path(), true).unwrap();
    let published = published_model(12 * MIB);
    let (content, path, filler) = (
        published.content.clone(),
        published.layer_path(),
        folder.path().join("filler"),
    );
    let once = std::sync::atomic::AtomicBool::new(false);
    let server = Server::start(move |request| {
        // Somebody else fills the disk when half of the blob has come.
        let is_middle = request.path == path && request.range.is_some_and(|(first, _)| first == 6 * MIB);
        if is_middle && !once.swap(true, Ordering::SeqCst) {
            let mut file = fs_err::File::create(&filler).unwrap();
            while std::io::Write::write_all(&mut file, &[0; 4096]).is_ok() {}
        }
        content.answer(request)
    })
    .await;
    let error = pull_with(small_ranges(), &server, &store, &published.key).await;
    let left = settled(&store).await;
    let full = error.map(drop);
    fs_err::remove_file(folder.path().join("filler")).unwrap();
    let (again, watch) = watched(small_ranges(), &server, &store, &published).await;
    let again = again.map(drop);
    drop(store);
    assert!(
        std::process::Command::new("umount")
            .arg(folder.path())
            .status()
            .unwrap()
            .success()
    );
    let full = full.unwrap_err();
    assert!(
        matches!(
            &full,
            PullError::Keep {
                source: StoreError::NoSpace { .. },
                ..
            }
        ),
        "{full:?}"
    );
    assert!(full.hint().unwrap().contains("free some space"));
    assert!(left.contains(&format!("part-{}", published.layer.hex())), "{left:?}");
    again.unwrap();
    assert_eq!(watch.named("resumed").len(), 1);
}
