//! What an update costs on the wire: bytes that a registry sends for `dunlin pull` of a new version, with the older one in
//! the store, as a share of the new file. Push and pull are the real ones, the registry is docker's.

use std::{
    io::{BufWriter, Write as _},
    path::Path,
    process::Stdio,
    time::Instant,
};

use anyhow::{Context as _, Result, ensure};
use dunlin_tests::{CountingProxy, RegistryServer};
use serde_json::Value;
use tempfile::TempDir;

use crate::places::Places;

const TENSORS: usize = 64;
/// Elements of a tensor: bf16, 1 MiB.
const ELEMENTS: usize = 512 << 10;

/// What becomes of the weights.
#[derive(Clone, Copy)]
enum Edit {
    /// The header grows.
    Header,
    /// A tenth of the tensors are others.
    Tenth,
    /// Each weight changes by a normally distributed share of itself, of this deviation.
    Dense(f32),
}

pub(crate) fn run(places: &Places) -> Result<()> {
    let size = TENSORS * ELEMENTS * 2;
    println!(
        "update: bytes from the registry for a new version of a model of {} MiB, bf16",
        size >> 20
    );
    let folder = TempDir::new()?;
    let registry = RegistryServer::start().context("docker-registry is missing: run `scripts/setup.sh test`")?;
    let edits = [
        ("header only", Edit::Header),
        ("10 % of tensors", Edit::Tenth),
        ("dense, 1e-4 of weight", Edit::Dense(1e-4)),
        ("dense, 1e-3 of weight", Edit::Dense(1e-3)),
        ("dense, 1e-2 of weight", Edit::Dense(1e-2)),
    ];
    println!(
        "  {:<24} {:>12} {:>12} {:>9} {:>10} {:>10}",
        "update", "received", "whole", "ratio", "push s", "pull s"
    );
    for (number, (name, edit)) in edits.into_iter().enumerate() {
        let row = measure(places, &registry, folder.path(), &format!("bench/model{number}"), edit)?;
        println!(
            "  {name:<24} {:>12} {:>12} {:>8.3}% {:>10.1} {:>10.1}",
            row.received,
            row.whole,
            100.0 * row.received as f64 / row.whole as f64,
            row.push_seconds,
            row.pull_seconds,
        );
    }
    Ok(())
}

struct Row {
    received: u64,
    whole: u64,
    push_seconds: f64,
    pull_seconds: f64,
}

fn measure(places: &Places, registry: &RegistryServer, folder: &Path, name: &str, edit: Edit) -> Result<Row> {
    let proxy = CountingProxy::start(&registry.host());
    let state = |who: &str| folder.join(format!("{}-{who}", name.replace('/', "-")));
    let dunlin = |who: &str, arguments: &[&str]| -> Result<Value> {
        let mut command = places.dunlin();
        command
            .env("DUNLIN_DATA", state(who))
            .args(["--quiet", "--output", "json"]);
        let output = command.args(arguments).stdin(Stdio::null()).output()?;
        let error = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "dunlin {}: {error}", arguments.join(" "));
        Ok(serde_json::from_slice(&output.stdout).unwrap_or_default())
    };
    let file = folder.join("model.safetensors");
    let path = file.to_string_lossy();
    let (remote, through) = (
        registry.reference(&format!("{name}:live")),
        format!("{}/{name}:live", proxy.host()),
    );
    let pull = ["pull", "--plain-http", "--allow-unsigned", through.as_str()];
    let mut push_seconds = 0.0;
    for (tag, edit) in [("old", None), ("new", Some(edit))] {
        write_model(&file, edit)?;
        let local = format!("{name}:{tag}");
        dunlin("publisher", &["pack", "--tag", &local, &path])?;
        let push = ["push", "--plain-http", &local, &remote];
        let base = format!("{name}:old");
        let more: &[&str] = if edit.is_some() { &["--delta-from", &base] } else { &[] };
        let started = Instant::now();
        dunlin("publisher", &[&push, more].concat())?;
        push_seconds = started.elapsed().as_secs_f64();
        if edit.is_none() {
            dunlin("receiver", &pull)?;
        }
    }
    let (before, started) = (proxy.received(), Instant::now());
    dunlin("receiver", &pull)?;
    let row = Row {
        received: proxy.received() - before,
        whole: fs_err::metadata(&file)?.len(),
        push_seconds,
        pull_seconds: started.elapsed().as_secs_f64(),
    };
    for who in ["publisher", "receiver"] {
        fs_err::remove_dir_all(state(who))?;
    }
    Ok(row)
}

/// Writes a safetensors file of normally distributed weights of deviation 0.02, or what an edit makes of them.
fn write_model(path: &Path, edit: Option<Edit>) -> Result<()> {
    let note = if edit.is_some() {
        "a longer note ".repeat(30)
    } else {
        String::new()
    };
    let mut header = format!(r#"{{"__metadata__":{{"format":"pt","note":"{note}"}}"#);
    for tensor in 0..TENSORS {
        let (start, end) = (tensor * ELEMENTS * 2, (tensor + 1) * ELEMENTS * 2);
        header += &format!(
            r#","model.layers.{tensor}.weight":{{"dtype":"BF16","shape":[{ELEMENTS}],"data_offsets":[{start},{end}]}}"#
        );
    }
    header.push('}');
    while !header.len().is_multiple_of(8) {
        header.push(' ');
    }
    let mut file = BufWriter::new(fs_err::File::create(path)?);
    file.write_all(&(header.len() as u64).to_le_bytes())?;
    file.write_all(header.as_bytes())?;
    let (mut weights, mut changes) = (Noise(1), Noise(2));
    for tensor in 0..TENSORS {
        for _ in 0..ELEMENTS {
            let weight = 0.02 * weights.normal();
            let changed = match edit {
                Some(Edit::Tenth) if tensor % 10 == 0 => 0.02 * changes.normal(),
                Some(Edit::Dense(share)) => weight + weight * share * changes.normal(),
                None | Some(Edit::Header | Edit::Tenth) => weight,
            };
            file.write_all(&bf16(changed))?;
        }
    }
    file.flush().context("write the model")
}

/// The upper half of an f32, rounded to the nearest.
fn bf16(value: f32) -> [u8; 2] {
    let bits = value.to_bits();
    let [_, _, low, high] = bits.wrapping_add(0x7fff + (bits >> 16 & 1)).to_le_bytes();
    [low, high]
}

/// SplitMix64.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut value = self.0;
        value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        value ^ (value >> 31)
    }

    /// About normally distributed, with deviation 1: the sum of twelve uniform numbers less six.
    fn normal(&mut self) -> f32 {
        let sum: f32 = (0..3)
            .map(|_| {
                let [a, b, c, d, e, f, g, h] = self.next().to_le_bytes();
                let pairs = [[a, b], [c, d], [e, f], [g, h]];
                pairs
                    .into_iter()
                    .map(|pair| f32::from(u16::from_le_bytes(pair)))
                    .sum::<f32>()
            })
            .sum();
        sum / 65536.0 - 6.0
    }
}
