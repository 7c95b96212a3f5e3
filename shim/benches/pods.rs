//! Containers through `ctr run`, ours beside runc and crun in one interleaved run, and what idle pods cost. Needs root, Debian's
//! containerd, runc, crun and busybox-static, the test guests, and `dunlin-shim-compile` beside the shim:
//! `cargo bench -p dunlin-shim --bench pods`.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    dead_code,
    reason = "a measuring program that shares the tests' support code"
)]

#[path = "../tests/containerd/archive.rs"]
mod archive;
#[path = "../tests/containerd/leftovers.rs"]
mod leftovers;
#[path = "../tests/containerd/node.rs"]
mod node;

use std::{
    fs,
    net::{TcpListener, TcpStream},
    time::{Duration, Instant},
};

use node::{BUSYBOX, HELLO, HTTP, Node, run};

const ROUNDS: usize = 15;
const IDLE_PODS: usize = 20;

fn main() {
    let Some(node) = node::node() else { return };
    println!("containerd {}, {ROUNDS} rounds, interleaved", node.version());
    println!("{:<34} {:>8} {:>8}", "", "median", "min");
    hello(&node);
    first_answer(&node);
    idle(&node);
    let size = fs::metadata(node::SHIM).unwrap().len();
    println!("shim binary, symbols included: {:.1} MiB", mib(size));
}

/// `ctr run --rm` of a hello, in milliseconds, with the cost of `ctr` itself beside it.
fn hello(node: &Node) {
    let mut times: [Vec<Duration>; 5] = Default::default();
    let crun = fs::metadata("/usr/bin/crun").is_ok();
    for round in 0..=ROUNDS {
        let id = |kind: &str| format!("{kind}{round}");
        let linux = ["/bin/echo", "hello"];
        let measured = [
            timed(|| node.ctr(&["version"]).code),
            timed(|| node.run(&["--rm"], HELLO, &id("w"), &["/app.wasm", "exit", "0"]).code),
            timed(|| node.run(&["--rm"], BUSYBOX, &id("l"), &linux).code),
            timed(|| peer(node, &[], &id("r"), &linux)),
            timed(|| {
                if crun {
                    peer(node, &["--runc-binary", "crun"], &id("c"), &linux)
                } else {
                    0
                }
            }),
        ];
        // The first round fills caches.
        if round > 0 {
            for (times, measured) in times.iter_mut().zip(measured) {
                times.push(measured);
            }
        }
    }
    let names = [
        "ctr version (floor)",
        "dunlin, wasm hello",
        "dunlin, Linux hello through runc",
        "runc (io.containerd.runc.v2)",
        "crun (io.containerd.runc.v2)",
    ];
    for (name, times) in names.into_iter().zip(&mut times) {
        if crun || !name.starts_with("crun") {
            print(name, times);
        }
    }
}

fn peer(node: &Node, flags: &[&str], id: &str, words: &[&str]) -> i32 {
    let mut command = node.ctr_command(&["run", "--rm", "--runtime", "io.containerd.runc.v2"]);
    command.args(flags).args([BUSYBOX, id]).args(words);
    run(&mut command).code
}

/// From `ctr run` to the first byte of an HTTP answer.
fn first_answer(node: &Node) {
    let mut times = Vec::new();
    for round in 0..=ROUNDS {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let id = format!("h{round}");
        let started = Instant::now();
        node.start_detached(&["--net-host", "--env", &format!("PORT={port}")], HTTP, &id, &[]);
        let answered = get(port);
        if round > 0 {
            times.push(answered - started);
        }
        node.remove(&id);
    }
    print("dunlin, first HTTP answer", &mut times);
}

fn get(port: u16) -> Instant {
    use std::io::{Read as _, Write as _};
    loop {
        if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) {
            stream
                .write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                .unwrap();
            let mut first = [0];
            stream.read_exact(&mut first).unwrap();
            return Instant::now();
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Processes, threads and memory of idle pods of one HTTP container each.
fn idle(node: &Node) {
    for number in 0..IDLE_PODS {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        node.start_detached(
            &["--net-host", "--env", &format!("PORT={port}")],
            HTTP,
            &format!("i{number}"),
            &[],
        );
    }
    let shims = leftovers::processes(node.folder.path());
    let workers: Vec<u32> = (0..IDLE_PODS).map(|number| node.pid(&format!("i{number}"))).collect();
    println!("{IDLE_PODS} idle pods of one HTTP container, per pod:");
    for (name, pids) in [("shim", &shims), ("worker", &workers)] {
        let sum =
            |field: &str| pids.iter().map(|&pid| rollup(pid, field)).sum::<u64>() / u64::try_from(IDLE_PODS).unwrap();
        let threads: usize = pids
            .iter()
            .map(|pid| fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count))
            .sum();
        println!(
            "  {name}: {} process, {} threads, PSS {:.2} MiB, private {:.2} MiB",
            pids.len() / IDLE_PODS,
            threads / IDLE_PODS,
            mib(sum("Pss:")),
            mib(sum("Private_Clean:") + sum("Private_Dirty:")),
        );
    }
    for number in 0..IDLE_PODS {
        node.remove(&format!("i{number}"));
    }
}

/// A field of `smaps_rollup`, in bytes.
fn rollup(pid: u32, field: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with(field)).unwrap_or_default();
    line.split_whitespace()
        .nth(1)
        .and_then(|kib| kib.parse::<u64>().ok())
        .unwrap_or(0)
        << 10
}

#[allow(clippy::cast_precision_loss, reason = "printed with two digits")]
fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

fn timed(action: impl FnOnce() -> i32) -> Duration {
    let started = Instant::now();
    assert_eq!(action(), 0);
    started.elapsed()
}

fn print(name: &str, times: &mut [Duration]) {
    times.sort_unstable();
    let millis = |time: Duration| time.as_secs_f64() * 1e3;
    println!(
        "{name:<34} {:>6.1} ms {:>6.1} ms",
        millis(times[times.len() / 2]),
        millis(times[0])
    );
}
