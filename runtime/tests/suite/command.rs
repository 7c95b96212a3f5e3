//! Commands: output, exit codes, grants, and every limit that stops one.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use dunlin_runtime::{
    CommandApp, DeadlineKind, Engine, ExitStatus, Grants, Limits, LinkOptions, Preopen, RunError, Stdin, Stdout,
};

use crate::support::{Collected, chain, compile, compile_wat, engine, guest, pool_of, scheduler};

fn start(body: &str) -> String {
    format!(
        r#"(module
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (data (i32.const 0) "\10\00\00\00\06\00\00\00") (data (i32.const 16) "hello\n")
        (func (export "_start") {body}))"#
    )
}

const HELLO: &str = "(drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))";
const SPIN: &str = "(loop br 0)";

async fn run(wat: &str, grants: Grants, limits: Limits) -> (Result<ExitStatus, RunError>, CommandApp) {
    let engine = engine();
    let app = CommandApp::new(&engine, compile_wat(&engine, wat), &LinkOptions::default()).unwrap();
    let outcome = app.run(grants, limits, &scheduler()).await;
    (outcome, app)
}

fn writing_to(output: &Arc<Collected>) -> Grants {
    let stdout = Stdout::Sink(Arc::clone(output) as _);
    Grants {
        stdout: stdout.clone(),
        stderr: stdout,
        ..Grants::default()
    }
}

/// Runs the guest `command_hello` in the component's form and in the module's.
async fn hello(grants: Grants, limits: Limits) -> Vec<Result<ExitStatus, RunError>> {
    let mut outcomes = Vec::new();
    for name in ["command_hello", "command_hello.wasip1"] {
        let Some(wasm) = guest(name) else { continue };
        let engine = engine();
        let app = CommandApp::new(&engine, compile(&engine, &wasm), &LinkOptions::default()).unwrap();
        outcomes.push(app.run(grants.clone(), limits.clone(), &scheduler()).await);
        assert_eq!(app.stats().live_instances, 0);
    }
    outcomes
}

fn args(args: &[&str]) -> Vec<String> {
    args.iter().map(|&arg| arg.to_owned()).collect()
}

#[tokio::test]
async fn output_and_exit_code_come_out() {
    let output = Arc::new(Collected::default());
    let (outcome, app) = run(&start(HELLO), writing_to(&output), Limits::default()).await;
    assert!(outcome.unwrap().success());
    assert_eq!(output.text(), "hello\n");
    let stats = app.stats();
    assert_eq!(
        (stats.calls, stats.instances_started, stats.live_instances, stats.traps),
        (1, 1, 0, 0)
    );
    let (outcome, _) = run(
        &start("(call $exit (i32.const 7))"),
        Grants::default(),
        Limits::default(),
    )
    .await;
    assert_eq!(outcome.unwrap().code(), 7);
}

#[tokio::test]
async fn a_component_can_fail_without_a_trap() {
    let wat = r#"(component
        (core module $m (func (export "run") (result i32) i32.const 1))
        (core instance $i (instantiate $m))
        (func $run (result (result)) (canon lift (core func $i "run")))
        (instance $e (export "run" (func $run)))
        (export "wasi:cli/run@0.2.0" (instance $e)))"#;
    let (outcome, _) = run(wat, Grants::default(), Limits::default()).await;
    assert_eq!(outcome.unwrap().code(), 1);
}

#[tokio::test]
async fn arguments_environment_and_input_are_what_was_granted() {
    let output = Arc::new(Collected::default());
    let grants = Grants {
        args: args(&["hello", "one", "two"]),
        env: vec![("COLOUR".into(), "blue".into())],
        ..writing_to(&output)
    };
    let runs = hello(grants, Limits::default()).await;
    assert_eq!(
        output.text(),
        "hello from command_hello\narg one\narg two\nenv COLOUR=blue\n".repeat(runs.len())
    );

    let output = Arc::new(Collected::default());
    let stdin = Stdin::Bytes(Bytes::from_static(b"in and out"));
    let runs = hello(
        Grants {
            args: args(&["hello", "echo"]),
            stdin,
            ..writing_to(&output)
        },
        Limits::default(),
    )
    .await;
    assert_eq!(output.text(), "in and out".repeat(runs.len()));
}

#[tokio::test]
async fn nothing_is_reachable_without_a_grant() {
    for arguments in [
        ["hello", "read", "/etc/passwd"],
        ["hello", "list", "/"],
        ["hello", "connect", "127.0.0.1:22"],
    ] {
        let grants = Grants {
            args: args(&arguments),
            ..Grants::default()
        };
        for outcome in hello(grants, Limits::default()).await {
            assert_eq!(outcome.unwrap().code(), 1, "{arguments:?}");
        }
    }
}

#[tokio::test]
async fn a_read_only_folder_is_read_and_not_left() {
    let dir = tempfile::tempdir().unwrap();
    fs_err::write(dir.path().join("file"), "content").unwrap();
    fs_err::os::unix::fs::symlink("/etc/passwd", dir.path().join("out")).unwrap();
    let preopens = vec![Preopen {
        host: dir.path().to_owned(),
        guest: "/data".into(),
        read_only: true,
    }];
    let output = Arc::new(Collected::default());
    let grants = |path: &str| Grants {
        args: args(&["hello", "read", path]),
        preopens: preopens.clone(),
        ..writing_to(&output)
    };
    let runs = hello(grants("/data/file"), Limits::default()).await;
    assert!(runs.iter().all(|run| run.as_ref().unwrap().success()));
    assert_eq!(output.text(), "content".repeat(runs.len()));
    for path in ["/data/out", "/data/../etc/passwd"] {
        for outcome in hello(grants(path), Limits::default()).await {
            assert_eq!(outcome.unwrap().code(), 1, "{path}");
        }
    }
}

#[tokio::test]
async fn grants_that_cannot_be_given_are_named() {
    let preopens = vec![Preopen {
        host: "/no/such/folder".into(),
        guest: "/data".into(),
        read_only: true,
    }];
    let (outcome, _) = run(
        &start(HELLO),
        Grants {
            preopens,
            ..Grants::default()
        },
        Limits::default(),
    )
    .await;
    let Err(RunError::Grant(error)) = outcome else {
        panic!("{outcome:?}")
    };
    assert!(error.to_string().contains("/no/such/folder"));
}

#[tokio::test]
async fn a_spinning_guest_is_stopped_by_either_clock() {
    let second = Duration::from_millis(100);
    let (outcome, app) = run(
        &start(SPIN),
        Grants::default(),
        Limits {
            wall: Some(second),
            ..Limits::default()
        },
    )
    .await;
    assert!(
        matches!(
            outcome,
            Err(RunError::Deadline {
                kind: DeadlineKind::Wall,
                ..
            })
        ),
        "{outcome:?}"
    );
    assert_eq!((app.stats().deadlines_hit, app.stats().live_instances), (1, 0));
    let (outcome, _) = run(
        &start(SPIN),
        Grants::default(),
        Limits {
            cpu: Some(second),
            ..Limits::default()
        },
    )
    .await;
    assert!(
        matches!(
            outcome,
            Err(RunError::Deadline {
                kind: DeadlineKind::Cpu,
                ..
            })
        ),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn a_guest_that_spins_while_it_starts_is_stopped_too() {
    let wat = r#"(module (func $f (loop br 0)) (start $f) (func (export "_start")))"#;
    let limits = Limits {
        wall: Some(Duration::from_millis(50)),
        ..Limits::default()
    };
    let (outcome, _) = run(wat, Grants::default(), limits).await;
    assert!(matches!(outcome, Err(RunError::Deadline { .. })), "{outcome:?}");
}

/// One thread serves all: a guest that did not yield would keep the others from running at all.
#[tokio::test(flavor = "current_thread")]
async fn spinning_guests_do_not_starve_others() {
    let engine = engine();
    let limits = Limits {
        wall: Some(Duration::from_secs(30)),
        ..Limits::default()
    };
    let spin = CommandApp::new(&engine, compile_wat(&engine, &start(SPIN)), &LinkOptions::default()).unwrap();
    let quick = CommandApp::new(&engine, compile_wat(&engine, &start(HELLO)), &LinkOptions::default()).unwrap();
    let scheduler = scheduler();
    tokio::select! {
        biased;
        outcome = spin.run(Grants::default(), limits, &scheduler) => panic!("the spinning guest ended: {outcome:?}"),
        outcome = quick.run(Grants::default(), Limits::default(), &scheduler) => assert!(outcome.unwrap().success()),
    }
    assert_eq!(spin.stats().live_instances, 0);
}

#[tokio::test]
async fn faults_are_traps_of_the_guest() {
    for (body, cause) in [
        ("unreachable", "unreachable"),
        ("(drop (i32.load (i32.const -1)))", "out of bounds"),
        ("(drop (i32.div_u (i32.const 1) (i32.const 0)))", "divide by zero"),
    ] {
        let (outcome, app) = run(&start(body), Grants::default(), Limits::default()).await;
        let error = outcome.unwrap_err();
        assert!(matches!(error, RunError::Trap { .. }), "{body}: {error}");
        assert!(chain(&error).contains(cause), "{}", chain(&error));
        assert_eq!(app.stats().traps, 1);
    }
    let recursion = r#"(module (func $f (export "_start") call $f))"#;
    let (outcome, _) = run(recursion, Grants::default(), Limits::default()).await;
    assert!(matches!(outcome, Err(RunError::Trap { .. })), "{outcome:?}");
}

#[tokio::test]
async fn memory_grows_to_the_limit_and_is_given_back() {
    // Takes page by page until it is refused, then exits with the number of pages that it has.
    let bomb = start("(loop (br_if 0 (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))) (call $exit (memory.size))");
    let limits = Limits {
        memory_bytes: 100 * 65_536,
        ..Limits::default()
    };
    let (outcome, app) = run(&bomb, Grants::default(), limits).await;
    assert_eq!(outcome.unwrap().code(), 100);
    assert_eq!((app.stats().memory_refusals, app.stats().live_instances), (1, 0));
}

#[tokio::test]
async fn a_guest_that_starts_with_too_much_memory_names_both_sizes() {
    let limits = Limits {
        memory_bytes: 65_536,
        ..Limits::default()
    };
    let (outcome, _) = run(
        r#"(module (memory 3) (func (export "_start")))"#,
        Grants::default(),
        limits.clone(),
    )
    .await;
    assert!(
        matches!(
            outcome,
            Err(RunError::InitialMemory {
                needed: 196_608,
                limit: 65_536
            })
        ),
        "{outcome:?}"
    );
    let two = r#"(module (memory 1) (memory 1) (func (export "_start")))"#;
    let (outcome, _) = run(two, Grants::default(), limits).await;
    assert!(
        matches!(
            outcome,
            Err(RunError::InitialMemory {
                needed: 131_072,
                limit: 65_536
            })
        ),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn output_beyond_its_cap_is_dropped() {
    let output = Arc::new(Collected::default());
    let limits = Limits {
        output_bytes: 8,
        ..Limits::default()
    };
    let (outcome, app) = run(&start(&HELLO.repeat(3)), writing_to(&output), limits).await;
    assert!(outcome.unwrap().success());
    assert_eq!(
        (output.text().as_str(), app.stats().output_bytes_dropped),
        ("hello\nhe", 10)
    );
}

#[tokio::test]
async fn a_full_pool_is_busy_and_empties_again() {
    let engine: Engine = pool_of(1);
    assert!(engine.is_pooled());
    let spin = CommandApp::new(&engine, compile_wat(&engine, &start(SPIN)), &LinkOptions::default()).unwrap();
    let quick = CommandApp::new(&engine, compile_wat(&engine, &start(HELLO)), &LinkOptions::default()).unwrap();
    let scheduler = scheduler();
    {
        let mut spinning = std::pin::pin!(spin.run(Grants::default(), Limits::default(), &scheduler));
        let poll = tokio::time::timeout(Duration::from_millis(20), &mut spinning).await;
        assert!(poll.is_err());
        let outcome = quick.run(Grants::default(), Limits::default(), &scheduler).await;
        assert!(matches!(outcome, Err(RunError::Busy { .. })), "{outcome:?}");
    }
    let outcome = quick.run(Grants::default(), Limits::default(), &scheduler).await;
    assert!(outcome.unwrap().success());
}
