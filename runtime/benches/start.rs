//! Time from `InstancePre` to the end of a guest that does nothing: store, limits, WASI context, instance, call and
//! tear-down. `cargo bench -p dunlin-runtime --bench start`; prints the median and the 99th percentile per kind of guest.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a program for one reader")]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use dunlin_host_gpu::{Scheduler, SchedulerConfig};
use dunlin_runtime::{CommandApp, Engine, EngineConfig, Grants, Limits, LinkOptions};
use sha2::{Digest as _, Sha256};

const RUNS: usize = 5_000;
const MODULE: &str = r#"(module (memory 1) (func (export "_start")))"#;
const COMPONENT: &str = r#"(component
    (core module $m (memory 1) (func (export "run") (result i32) i32.const 0))
    (core instance $i (instantiate $m))
    (func $run (result (result)) (canon lift (core func $i "run")))
    (instance $e (export "run" (func $run)))
    (export "wasi:cli/run@0.2.0" (instance $e)))"#;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let engine = Engine::new(EngineConfig::default()).unwrap();
    let scheduler = Arc::new(Scheduler::new(SchedulerConfig::default()).unwrap());
    for (kind, text) in [("core module", MODULE), ("component", COMPONENT)] {
        let wasm = Engine::wat_to_wasm(text.as_bytes()).unwrap();
        let code = engine.compile(&wasm, &hex::encode(Sha256::digest(&wasm))).unwrap();
        let app = CommandApp::new(&engine, code, &LinkOptions::default()).unwrap();
        let mut times: Vec<Duration> = (0..RUNS)
            .map(|_| {
                let start = Instant::now();
                let status = runtime
                    .block_on(app.run(Grants::default(), Limits::default(), &scheduler))
                    .unwrap();
                assert!(status.success());
                start.elapsed()
            })
            .collect();
        times.sort_unstable();
        let at = |share: usize| times.get(RUNS * share / 100).copied().unwrap_or_default();
        println!("{kind}: median {:?}, p99 {:?} of {RUNS} runs", at(50), at(99));
    }
}
