//! The scheduler with engines that wait, fail and panic on command.

use std::{
    num::NonZeroUsize,
    sync::{Arc, Condvar, Mutex},
    time::{Duration, Instant},
};

use dunlin_host_gpu::{
    CancelToken, ComputeError, ExecutionContext, NamedTensor, Scheduler, SchedulerConfig, SharedContext, Stopped,
};

use crate::builder::f32s;

/// What the engines of a test have done, and whether they may go on.
#[derive(Default)]
struct Log {
    state: Mutex<(Vec<&'static str>, bool)>,
    changed: Condvar,
}

impl Log {
    fn note(&self, what: &'static str) {
        self.state.lock().unwrap().0.push(what);
        self.changed.notify_all();
    }

    fn release(&self) {
        self.state.lock().unwrap().1 = true;
        self.changed.notify_all();
    }

    fn wait_for(&self, what: &'static str) {
        let state = self.state.lock().unwrap();
        drop(
            self.changed
                .wait_while(state, |state| !state.0.contains(&what))
                .unwrap(),
        );
    }

    fn wait_for_release(&self, cancel: &CancelToken) -> Result<(), ComputeError> {
        let mut state = self.state.lock().unwrap();
        while !state.1 {
            cancel.check()?;
            state = self.changed.wait_timeout(state, Duration::from_millis(1)).unwrap().0;
        }
        Ok(())
    }

    fn notes(&self) -> Vec<&'static str> {
        self.state.lock().unwrap().0.clone()
    }
}

/// Notes that it runs, then waits for release; the name says how it ends.
struct Fake {
    name: &'static str,
    log: Arc<Log>,
}

impl ExecutionContext for Fake {
    fn compute(&mut self, inputs: Vec<NamedTensor>, cancel: &CancelToken) -> Result<Vec<NamedTensor>, ComputeError> {
        self.log.note(self.name);
        assert!(self.name != "panics", "on command");
        self.log.wait_for_release(cancel)?;
        Ok(inputs)
    }
}

fn scheduler(workers: usize, depth: usize) -> Arc<Scheduler> {
    let number = |number| NonZeroUsize::new(number).unwrap();
    Arc::new(
        Scheduler::new(SchedulerConfig {
            workers: number(workers),
            queue_depth: number(depth),
        })
        .unwrap(),
    )
}

fn context(name: &'static str, log: &Arc<Log>) -> SharedContext {
    SharedContext::new(Box::new(Fake {
        name,
        log: Arc::clone(log),
    }))
}

type Handle = tokio::task::JoinHandle<Result<Vec<NamedTensor>, ComputeError>>;

#[allow(
    clippy::disallowed_methods,
    reason = "the test that asks for the handle owns the task"
)]
fn submit(scheduler: &Arc<Scheduler>, context: &SharedContext, cancel: &CancelToken) -> Handle {
    let (scheduler, context, cancel) = (Arc::clone(scheduler), context.clone(), cancel.clone());
    tokio::spawn(async move { scheduler.compute(context, vec![f32s("x", &[1], &[1.0])], cancel).await })
}

async fn until(condition: impl Fn() -> bool) {
    while !condition() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn computes_run_on_workers_and_give_their_outputs() {
    let (scheduler, log) = (scheduler(2, 8), Arc::new(Log::default()));
    log.release();
    let outputs = submit(&scheduler, &context("a", &log), &CancelToken::new())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(outputs, [f32s("x", &[1], &[1.0])]);
    assert_eq!((scheduler.waiting(), scheduler.running()), (0, 0));
}

#[tokio::test]
async fn a_full_queue_is_busy_at_once() {
    let (scheduler, log) = (scheduler(1, 1), Arc::new(Log::default()));
    let running = submit(&scheduler, &context("a", &log), &CancelToken::new());
    until(|| scheduler.running() == 1).await;
    let waiting = submit(&scheduler, &context("b", &log), &CancelToken::new());
    until(|| scheduler.waiting() == 1).await;
    let refused = submit(&scheduler, &context("c", &log), &CancelToken::new())
        .await
        .unwrap();
    assert!(matches!(refused, Err(ComputeError::Busy { queue_depth: 1 })));
    log.release();
    assert!(running.await.unwrap().is_ok() && waiting.await.unwrap().is_ok());
    assert_eq!(log.notes(), ["a", "b"]);
}

#[tokio::test]
async fn a_busy_context_holds_no_worker_for_those_that_wait() {
    let (scheduler, slow, quick) = (scheduler(2, 8), Arc::new(Log::default()), Arc::new(Log::default()));
    quick.release();
    let shared = context("slow", &slow);
    let first = submit(&scheduler, &shared, &CancelToken::new());
    until(|| scheduler.running() == 1).await;
    let second = submit(&scheduler, &shared, &CancelToken::new());
    until(|| scheduler.waiting() == 1).await;
    // One worker is in the slow engine; the other must not wait for the same context.
    assert!(
        submit(&scheduler, &context("quick", &quick), &CancelToken::new())
            .await
            .unwrap()
            .is_ok()
    );
    slow.release();
    assert!(first.await.unwrap().is_ok() && second.await.unwrap().is_ok());
    assert_eq!(slow.notes(), ["slow", "slow"]);
}

#[tokio::test]
async fn a_panic_costs_the_context_and_nothing_else() {
    let (scheduler, log) = (scheduler(1, 8), Arc::new(Log::default()));
    log.release();
    let broken = context("panics", &log);
    let error = submit(&scheduler, &broken, &CancelToken::new())
        .await
        .unwrap()
        .unwrap_err();
    assert!(
        matches!(&error, ComputeError::EnginePanicked { message } if message == "on command"),
        "{error:?}"
    );
    let again = submit(&scheduler, &broken, &CancelToken::new()).await.unwrap();
    assert!(matches!(again, Err(ComputeError::Poisoned)));
    assert!(
        submit(&scheduler, &context("a", &log), &CancelToken::new())
            .await
            .unwrap()
            .is_ok()
    );
}

#[tokio::test]
async fn dropping_the_future_cancels_what_runs_and_withdraws_what_waits() {
    let (scheduler, log) = (scheduler(1, 8), Arc::new(Log::default()));
    let caller = CancelToken::new();
    let running = submit(&scheduler, &context("a", &log), &caller);
    until(|| scheduler.running() == 1).await;
    let waiting = submit(&scheduler, &context("b", &log), &caller);
    until(|| scheduler.waiting() == 1).await;
    waiting.abort();
    until(|| scheduler.waiting() == 0).await;
    running.abort();
    until(|| scheduler.running() == 0).await;
    assert_eq!(log.notes(), ["a"]);
    assert!(!caller.is_cancelled(), "the caller's own token is not touched");
}

#[tokio::test]
async fn a_deadline_is_kept_even_while_the_engine_does_not_look() {
    struct Deaf(Arc<Log>);
    impl ExecutionContext for Deaf {
        fn compute(&mut self, inputs: Vec<NamedTensor>, _: &CancelToken) -> Result<Vec<NamedTensor>, ComputeError> {
            self.0.note("deaf");
            self.0.wait_for_release(&CancelToken::new())?;
            Ok(inputs)
        }
    }
    let (scheduler, log) = (scheduler(1, 8), Arc::new(Log::default()));
    let deaf = SharedContext::new(Box::new(Deaf(Arc::clone(&log))));
    let deadline = CancelToken::with_deadline(Instant::now() + Duration::from_millis(20));
    let outcome = submit(&scheduler, &deaf, &deadline).await.unwrap();
    assert!(matches!(outcome, Err(ComputeError::Stopped(Stopped::DeadlinePassed))));
    assert_eq!(scheduler.running(), 1);
    log.release();
    until(|| scheduler.running() == 0).await;
}

#[tokio::test]
async fn a_token_that_is_stopped_already_is_not_queued() {
    let (scheduler, log) = (scheduler(1, 8), Arc::new(Log::default()));
    let cancel = CancelToken::new();
    cancel.cancel();
    let outcome = submit(&scheduler, &context("a", &log), &cancel).await.unwrap();
    assert!(matches!(outcome, Err(ComputeError::Stopped(Stopped::Cancelled))));
    assert_eq!(log.notes(), [] as [&str; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn dropping_the_scheduler_refuses_what_waits_and_joins() {
    let (scheduler, log) = (scheduler(1, 8), Arc::new(Log::default()));
    let cancel = CancelToken::new();
    let mut running = Box::pin(scheduler.compute(context("a", &log), vec![], cancel.clone()));
    let mut waiting = Box::pin(scheduler.compute(context("b", &log), vec![], cancel));
    let polled = tokio::time::timeout(Duration::from_millis(1), async {
        tokio::join!(&mut running, &mut waiting)
    })
    .await;
    assert!(polled.is_err());
    tokio::task::block_in_place(|| log.wait_for("a"));
    drop((running, waiting));
    tokio::task::block_in_place(|| drop(Arc::into_inner(scheduler).unwrap()));
    assert_eq!(log.notes(), ["a"]);
}

#[tokio::test]
async fn computes_on_one_context_keep_their_order() {
    struct Counter(Vec<f32>);
    impl ExecutionContext for Counter {
        fn compute(&mut self, inputs: Vec<NamedTensor>, _: &CancelToken) -> Result<Vec<NamedTensor>, ComputeError> {
            self.0.extend(inputs.iter().flat_map(crate::builder::values));
            Ok(vec![f32s("seen", &[self.0.len()], &self.0)])
        }
    }
    let scheduler = scheduler(4, 64);
    let shared = SharedContext::new(Box::new(Counter(Vec::new())));
    let computes = (0..32_u8).map(|index| {
        scheduler.compute(
            shared.clone(),
            vec![f32s("x", &[1], &[f32::from(index)])],
            CancelToken::new(),
        )
    });
    let mut longest = Vec::new();
    for outcome in futures::future::join_all(computes).await {
        let seen = crate::builder::values(&outcome.unwrap()[0]);
        if seen.len() > longest.len() {
            longest = seen;
        }
    }
    assert_eq!(longest, (0..32_u8).map(f32::from).collect::<Vec<_>>());
}
