//! CPU time of one verification: cold (first in the process, with the root read for it) and warm.
//!
//! `cargo bench -p dunlin-sigstore`
#![allow(clippy::print_stdout, clippy::expect_used, reason = "a bench prints its figures")]

use std::time::{Duration, Instant};

use dunlin_sigstore::{Requirements, Sha256, TrustRoot, verify};
use dunlin_test_pki::{Generation, Pki, Signed};
use rustix::time::{ClockId, clock_gettime};

const RUNS: usize = 2_000;

/// CPU time that this thread has used. Where the kernel counts it in ticks, only the mean over many runs says anything.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).expect("not negative");
    Duration::new(seconds, u32::try_from(time.tv_nsec).expect("below a second"))
}

fn once(bundle: &[u8], signed: &Signed, root: &TrustRoot) {
    let subject = Sha256::from(signed.subject);
    verify::keyless(bundle, &subject, root, &Requirements::default()).expect("a good signature");
}

fn main() {
    let pki = Pki::new();
    let cases = [
        ("statement, Rekor v2, timestamp", pki.case().sign()),
        ("statement, Rekor v1", pki.case().log(Generation::V1).sign()),
        ("message, Rekor v2, timestamp", pki.case().message().sign()),
        (
            "message, Rekor v1 and timestamp",
            pki.case().message().log(Generation::V1).stamped(true).sign(),
        ),
    ];
    let (json, first) = (pki.root_json(), cases[0].1.bundle_json());
    let (start, wall) = (cpu_time(), Instant::now());
    let root = TrustRoot::from_json(&json).expect("a root");
    let read = cpu_time() - start;
    once(&first, &cases[0].1, &root);
    println!(
        "first: root {read:.0?}, root and verification {:.0?} CPU, {:.0?} wall",
        cpu_time() - start,
        wall.elapsed()
    );
    for (name, signed) in &cases {
        let bundle = signed.bundle_json();
        let (cpu, wall) = (cpu_time(), Instant::now());
        (0..RUNS).for_each(|_| once(&bundle, signed, &root));
        let runs = u32::try_from(RUNS).expect("few");
        let (cpu, wall) = ((cpu_time() - cpu) / runs, wall.elapsed() / runs);
        let bytes = bundle.len();
        println!("{name}: mean {cpu:.0?} CPU, {wall:.0?} wall of {RUNS}, bundle {bytes} bytes");
    }
}
