//! Pulls that are killed: what is visible afterwards, what is fetched again, what is left behind.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr, reason = "tests")]

use std::{
    io::Write as _,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use dunlin_tests::{CountingProxy, Machine, RegistryServer};

/// Kills over the whole test.
const KILLS: u64 = 300;
/// Bytes of the model's weights.
const BLOB: u64 = 256 << 20;
/// Most bytes between two kills: several kills fall into one pull.
const MOST_BETWEEN_KILLS: u64 = 96 << 20;
/// What one kill may cost at most: bytes that arrive a second time.
const MOST_FETCHED_AGAIN: u64 = 16 << 20;

/// Numbers that are the same in every run (splitmix64).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// A safetensors file with one tensor of noise.
fn write_model(machine: &Machine) {
    let data = BLOB - 4096;
    let header = format!("{{\"w\":{{\"dtype\":\"U8\",\"shape\":[{data}],\"data_offsets\":[0,{data}]}}}}");
    let header = format!("{header:<width$}", width = 4096 - 8);
    let mut file = std::io::BufWriter::new(fs_err::File::create(machine.path("model.safetensors")).unwrap());
    file.write_all(&(header.len() as u64).to_le_bytes()).unwrap();
    file.write_all(header.as_bytes()).unwrap();
    let mut numbers = Numbers(7);
    for _ in 0..data / 8 {
        file.write_all(&numbers.next().to_le_bytes()).unwrap();
    }
    file.flush().unwrap();
}

fn blob_of_weights(machine: &Machine, reference: &str) -> String {
    let verified = machine
        .dunlin(&["verify", "--key", "me.pub", "--output", "json", reference])
        .ok();
    let manifest = fs_err::read(machine.blob(verified.json()["digest"].as_str().unwrap())).unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
    manifest["layers"][0]["digest"].as_str().unwrap().to_owned()
}

fn start_pull(machine: &Machine, reference: &str) -> Child {
    machine
        .command(&["pull", "--plain-http", "--key", "me.pub", reference])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn three_hundred_kills_cost_little_and_corrupt_nothing() {
    let Some(registry) = RegistryServer::start() else {
        return;
    };
    let publisher = Machine::new();
    publisher.key("me");
    write_model(&publisher);
    drop(
        publisher
            .dunlin(&["pack", "--tag", "demo/big:1", "model.safetensors"])
            .ok(),
    );
    drop(publisher.dunlin(&["sign", "--key", "me.key", "demo/big:1"]).ok());
    let origin = registry.reference("demo/big:1");
    drop(publisher.dunlin(&["push", "--plain-http", "demo/big:1", &origin]).ok());
    let weights = blob_of_weights(&publisher, "demo/big:1");

    let proxy = CountingProxy::start(&registry.host());
    let reference = format!("{}/demo/big:1", proxy.host());
    let puller = Machine::new();
    fs_err::copy(publisher.path("me.pub"), puller.path("me.pub")).unwrap();
    let blob = puller.blob(&weights);
    let mut numbers = Numbers(42);
    let (mut kills, mut pulls) = (0, 0);
    while kills < KILLS {
        let before = proxy.received();
        let bytes = numbers.next() % MOST_BETWEEN_KILLS;
        let mut child = start_pull(&puller, &reference);
        let ended = loop {
            if let Some(status) = child.try_wait().unwrap() {
                assert!(status.success(), "a pull that nobody killed failed");
                break true;
            }
            if proxy.received() - before >= bytes {
                break false;
            }
            thread::sleep(Duration::from_millis(1));
        };
        if ended {
            // The blob is whole: hashed by another tool, then all is thrown away for the next round.
            assert_eq!(sha256(&blob), weights);
            fs_err::remove_dir_all(puller.store()).unwrap();
            pulls += 1;
            continue;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        kills += 1;
        if blob.exists() {
            assert_eq!(
                sha256(&blob),
                weights,
                "a corrupt blob became visible after kill {kills}"
            );
        }
    }
    let last = puller
        .dunlin(&["pull", "--plain-http", "--key", "me.pub", &reference])
        .ok();
    pulls += 1;
    assert_eq!(sha256(&blob), weights, "{}", last.stderr);
    // Manifests, signatures and headers of every start, besides the weights.
    let overhead = (kills + pulls) * (256 << 10);
    let allowed = pulls * BLOB + kills * MOST_FETCHED_AGAIN + overhead;
    let received = proxy.received();
    assert!(
        received <= allowed,
        "{kills} kills in {pulls} pulls took {received} bytes; {allowed} are allowed"
    );
    eprintln!(
        "{kills} kills in {pulls} pulls: {} KiB fetched again for each kill",
        received.saturating_sub(pulls * BLOB) / kills / 1024
    );

    // Nothing is left of the killed ones.
    drop(puller.dunlin(&["gc"]).ok());
    let store = puller.store_files();
    let leftovers: Vec<_> = store.iter().filter(|(name, _)| name.starts_with("ingest/")).collect();
    assert!(leftovers.is_empty(), "left in the store: {leftovers:?}");
    drop(puller.dunlin(&["fsck"]).ok());
}

/// By the system's own tool: not by the code under test.
fn sha256(path: &std::path::Path) -> String {
    let output = Command::new("sha256sum").arg(path).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    format!("sha256:{}", text.split_whitespace().next().unwrap_or_default())
}
