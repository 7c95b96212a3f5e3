//! What watches over the case in progress: its input is kept for the day it panics, and a case that takes too long
//! ends the run.

use std::{
    panic,
    path::{Path, PathBuf},
    process,
    sync::Mutex,
    thread,
    time::{Duration, Instant},
};

/// The case in progress.
struct Case {
    target: &'static str,
    number: u64,
    input: Vec<u8>,
    /// `None` between cases.
    started: Option<Instant>,
    /// Panics in this target so far.
    panics: u64,
}

static CASE: Mutex<Case> = Mutex::new(Case {
    target: "",
    number: 0,
    input: Vec::new(),
    started: None,
    panics: 0,
});

fn case() -> std::sync::MutexGuard<'static, Case> {
    CASE.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Writes inputs of failures to `folder`, and ends the process when a case takes longer than `limit`.
pub(crate) fn start(limit: Duration, folder: PathBuf) {
    let kept = folder.clone();
    panic::set_hook(Box::new(move |info| {
        let mut case = case();
        case.panics += 1;
        eprintln!("{} case {}: {info}", case.target, case.number);
        keep(&case, &kept, "panic");
    }));
    thread::spawn(move || {
        loop {
            thread::sleep(Duration::from_millis(100));
            let case = case();
            if case.started.is_some_and(|started| started.elapsed() > limit) {
                eprintln!("{} case {}: takes longer than {limit:?}", case.target, case.number);
                keep(&case, &folder, "hang");
                process::exit(1);
            }
        }
    });
}

fn keep(case: &Case, folder: &Path, what: &str) {
    let path = folder.join(format!("{}-{}.{what}", case.target, case.number));
    match fs_err::write(&path, &case.input) {
        Ok(()) => eprintln!("its input is in {}", path.display()),
        Err(error) => eprintln!("its input is lost: {error}"),
    }
}

/// A new target: forgets the panics of the one before.
pub(crate) fn target(name: &'static str) {
    let mut case = case();
    case.target = name;
    case.panics = 0;
}

/// Panics in the current target so far.
pub(crate) fn panics() -> u64 {
    case().panics
}

/// Runs a case under watch, and says how long it took.
pub(crate) fn over<T>(number: u64, input: &[u8], run: impl FnOnce() -> T) -> (T, Duration) {
    let started = Instant::now();
    {
        let mut case = case();
        case.number = number;
        case.input.clear();
        case.input.extend_from_slice(input);
        case.started = Some(started);
    }
    let result = run();
    case().started = None;
    (result, started.elapsed())
}
