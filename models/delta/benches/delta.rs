//! How long deltas are and how fast they are made and applied, against zstd of the new file and against deduplication
//! by chunks. Every step runs in a process of its own over files on disk, so that its memory can be seen.
#![allow(clippy::print_stdout, reason = "a bench reports on its standard output")]
#![allow(clippy::unwrap_used, reason = "a bench ends at its first error")]

#[path = "../tests/files/mod.rs"]
mod files;

use std::{io::BufReader, num::NonZeroUsize, path::Path, process::Command, time::Instant};

use dunlin_delta::{
    ChunkManifest, DecodeOptions, Delta, EncodeOptions, FileAt, ReadAt as _, SegmentSource, encode, plan,
};
use files::{Change, Noise, Tensor};

const MIB: usize = 1 << 20;
const TENSORS: usize = 50;
const TENSOR: usize = 2 * MIB;

fn main() {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["encode", base, new, delta, level, threads] => make(base, new, delta, level.parse().unwrap(), threads),
        ["decode", base, delta, made, threads] => apply(base, delta, made, threads),
        [] => report(),
        _ => println!("usage: delta"),
    }
}

fn report() {
    println!(
        "{TENSORS} bf16 tensors of {} MiB in safetensors; MiB of the new file per second, and per second of CPU time; peak RSS",
        TENSOR / MIB
    );
    println!("(of weight: each changes relative to itself; of deviation: relative to the deviation of all)\n");
    println!(
        "| update | delta, % | zstd -3, % | FastCDC, % | encode, 2 threads | of CPU | decode, 1 thread | of CPU | decode, 2 threads | encode RSS | decode RSS |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|");
    let folder = tempfile::tempdir().unwrap();
    let base = files::model(&mut Noise(1), TENSORS, TENSOR);
    let row = |name, new: Vec<Tensor>, base: &[Tensor], note: &str| {
        row(
            folder.path(),
            name,
            &files::safetensors("", base),
            &files::safetensors(note, &new),
        );
    };
    row("header only", base.clone(), &base, &"a longer note ".repeat(30));
    let mut replaced = base.clone();
    let mut noise = Noise(2);
    for tensor in replaced.iter_mut().step_by(10) {
        tensor.data = files::weights(&mut noise, TENSOR);
    }
    row("10 % of tensors", replaced, &base, "longer");
    drop(base);
    for (name, change) in [
        ("dense, 1e-4 of weight", Change::OfWeight(1e-4)),
        ("dense, 1e-3 of weight", Change::OfWeight(1e-3)),
        ("dense, 1e-2 of weight", Change::OfWeight(1e-2)),
        ("dense, 1e-4 of deviation", Change::OfDeviation(1e-4)),
        ("dense, 1e-3 of deviation", Change::OfDeviation(1e-3)),
        ("dense, 1e-2 of deviation", Change::OfDeviation(1e-2)),
    ] {
        let mut noise = Noise(3);
        let (before, after): (Vec<_>, Vec<_>) = (0..TENSORS)
            .map(|index| {
                let (before, after) = files::tuned(&mut noise, TENSOR, change);
                let tensor = |data| Tensor {
                    name: format!("model.layers.{index}.weight"),
                    data,
                };
                (tensor(before), tensor(after))
            })
            .unzip();
        row(name, after, &before, "longer");
    }
}

fn row(folder: &Path, name: &str, base: &[u8], new: &[u8]) {
    let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    fs_err::write(path("base"), base).unwrap();
    fs_err::write(path("new"), new).unwrap();
    let share = |len: usize| 100.0 * len as f64 / new.len() as f64;
    let speed = |seconds: f64| new.len() as f64 / MIB as f64 / seconds;
    let level = EncodeOptions::DEFAULT_LEVEL.to_string();
    let encoded = child(&["encode", &path("base"), &path("new"), &path("delta"), &level, "2"]);
    let single = child(&["decode", &path("base"), &path("delta"), &path("made"), "1"]);
    let double = child(&["decode", &path("base"), &path("delta"), &path("made"), "2"]);
    let delta = fs_err::metadata(path("delta")).unwrap().len();
    println!(
        "| {name} | {:.3} | {:.1} | {:.1} | {:.0} | {:.0} | {:.0} | {:.0} | {:.0} | {:.0} MiB | {:.0} MiB |",
        share(usize::try_from(delta).unwrap()),
        share(zstd(new)),
        share(chunks(base, new)),
        speed(encoded.wall),
        speed(encoded.cpu),
        speed(single.wall),
        speed(single.cpu),
        speed(double.wall),
        encoded.rss,
        double.rss.max(single.rss),
    );
}

/// What a step took.
struct Cost {
    /// Seconds.
    wall: f64,
    /// Seconds of all threads.
    cpu: f64,
    /// MiB at most.
    rss: f64,
}

fn child(arguments: &[&str]) -> Cost {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(arguments)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let numbers: Vec<f64> = text.split_whitespace().map(|number| number.parse().unwrap()).collect();
    let [wall, cpu, rss] = numbers[..] else {
        panic!("{text}")
    };
    Cost { wall, cpu, rss }
}

fn zstd(bytes: &[u8]) -> usize {
    let mut out = Vec::with_capacity(zstd_safe::compress_bound(bytes.len()));
    zstd_safe::compress(&mut out, bytes, 3).unwrap()
}

/// Bytes to fetch with chunk manifests, the new one included.
fn chunks(base: &[u8], new: &[u8]) -> usize {
    let manifest = |bytes: &[u8]| ChunkManifest::of(&bytes, None).unwrap();
    let (base, new) = (manifest(base), manifest(new));
    let mut written = Vec::new();
    new.write(&mut written).unwrap();
    let segments = plan(&[&base], &new, 0);
    let fetched = segments.iter().filter(|segment| segment.source == SegmentSource::Fetch);
    written.len() + usize::try_from(fetched.map(|segment| segment.len).sum::<u64>()).unwrap()
}

fn make(base: &str, new: &str, delta: &str, level: i32, threads: &str) {
    let (base, new) = (FileAt::open(base).unwrap(), FileAt::open(new).unwrap());
    let mut out = fs_err::File::create(delta).unwrap();
    let options = EncodeOptions {
        level,
        threads: threads.parse().unwrap(),
        ..EncodeOptions::default()
    };
    timed(|| {
        encode(&base, &new, &mut out, &options).unwrap();
    });
}

fn apply(base: &str, delta: &str, made: &str, threads: &str) {
    let base = FileAt::open(base).unwrap();
    let delta = Delta::open(BufReader::new(fs_err::File::open(delta).unwrap())).unwrap();
    let mut out = fs_err::File::create(made).unwrap();
    let options = DecodeOptions {
        max_new_size: base.size() * 2,
        threads: threads.parse::<NonZeroUsize>().unwrap(),
    };
    timed(|| {
        delta.apply(&base, &mut out, &options).unwrap();
    });
}

fn timed(step: impl FnOnce()) {
    let started = Instant::now();
    let before = cpu_seconds();
    step();
    println!(
        "{} {} {}",
        started.elapsed().as_secs_f64(),
        cpu_seconds() - before,
        peak_rss()
    );
}

/// The time that all threads of this process have had, user and system.
fn cpu_seconds() -> f64 {
    /// What Linux counts in, whatever the machine (`man 5 proc`).
    const TICKS: f64 = 100.0;
    let stat = fs_err::read_to_string("/proc/self/stat").unwrap();
    let fields = stat.rsplit(')').next().unwrap().split_whitespace().skip(11).take(2);
    fields.map(|ticks| ticks.parse::<f64>().unwrap()).sum::<f64>() / TICKS
}

/// The most memory that this process had, in MiB.
fn peak_rss() -> f64 {
    let status = fs_err::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches("kB").trim().parse::<f64>().unwrap() / 1024.0
}
