//! Work on several threads with results in the order of the jobs: [`ordered`]. What is held at a time is bounded by the
//! number of threads.

use std::{
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread,
};

/// Jobs given to a worker and not yet collected.
const PER_WORKER: usize = 2;

/// Runs every job through one of `threads` workers; `jobs` and `sink` run on the calling thread, and `sink` gets the
/// results in the order of the jobs. With one thread, nothing is spawned.
///
/// # Errors
/// The first error of `jobs`, a worker or `sink`; nothing is given to `sink` after it.
pub(crate) fn ordered<J, R, E, W>(
    threads: usize,
    jobs: impl Iterator<Item = Result<J, E>>,
    worker: impl Fn() -> W,
    mut sink: impl FnMut(R) -> Result<(), E>,
) -> Result<(), E>
where
    J: Send,
    R: Send,
    E: Send,
    W: FnMut(J) -> Result<R, E> + Send,
{
    if threads <= 1 {
        let mut work = worker();
        for job in jobs {
            sink(work(job?)?)?;
        }
        return Ok(());
    }
    thread::scope(|scope| {
        let mut lanes: Vec<Lane<J, R, E>> = Vec::with_capacity(threads);
        for _ in 0..threads {
            let (job_sender, job_receiver) = sync_channel::<J>(PER_WORKER);
            let (result_sender, result_receiver) = sync_channel(PER_WORKER);
            let mut work = worker();
            scope.spawn(move || {
                for job in job_receiver {
                    if result_sender.send(work(job)).is_err() {
                        break;
                    }
                }
            });
            lanes.push((job_sender, result_receiver));
        }
        let (mut sent, mut collected) = (0, 0);
        for job in jobs {
            let job = job?;
            if sent - collected == threads * PER_WORKER {
                collect(&lanes, &mut collected, &mut sink)?;
            }
            // A lane closes only when its worker panicked, which the scope passes on.
            if lanes[sent % threads].0.send(job).is_err() {
                break;
            }
            sent += 1;
        }
        while collected < sent {
            collect(&lanes, &mut collected, &mut sink)?;
        }
        Ok(())
    })
}

type Lane<J, R, E> = (SyncSender<J>, Receiver<Result<R, E>>);

fn collect<J, R, E>(
    lanes: &[Lane<J, R, E>],
    collected: &mut usize,
    sink: &mut impl FnMut(R) -> Result<(), E>,
) -> Result<(), E> {
    let result = lanes[*collected % lanes.len()].1.recv();
    *collected += 1;
    match result {
        Ok(result) => sink(result?),
        Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_jobs() {
        for threads in [1, 2, 3] {
            let mut results = Vec::new();
            let jobs = (0..100_u64).map(Ok::<_, ()>);
            let worker = || |job: u64| Ok(job * job);
            ordered(threads, jobs, worker, |result| {
                results.push(result);
                Ok(())
            })
            .unwrap();
            assert_eq!(results, (0..100).map(|job| job * job).collect::<Vec<_>>());
        }
    }

    #[test]
    fn the_first_error_ends_it() {
        for threads in [1, 2] {
            let mut results = Vec::new();
            let worker = || |job: u64| if job == 5 { Err("five") } else { Ok(job) };
            let result = ordered(threads, (0..).map(Ok), worker, |result| {
                results.push(result);
                Ok(())
            });
            assert_eq!(result, Err("five"));
            assert_eq!(results, [0, 1, 2, 3, 4]);
            let jobs = [Ok(1), Err("job"), Ok(2)].into_iter();
            assert_eq!(ordered(threads, jobs, || Ok::<u64, _>, |_| Ok(())), Err("job"));
            let sink = |_| Err::<(), _>("sink");
            assert_eq!(ordered(threads, (0..).map(Ok), || Ok::<u64, _>, sink), Err("sink"));
        }
    }
}
