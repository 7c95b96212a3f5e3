//! [`Reaper`]: collects every child that ends. The shim is the subreaper of its containers, so processes whose parents are
//! gone (what `runc create` and `runc exec --detach` leave behind) end up here too.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

use rustix::process::{Pid, WaitOptions, wait};
use tokio::sync::oneshot;

use crate::exit::Exit;

/// Ends kept of processes that nobody has asked for yet: helpers of runc mostly, which nobody ever asks for.
const MAX_UNCLAIMED: usize = 1024;

/// The ends of children, by process id.
#[derive(Debug, Default)]
pub(crate) struct Reaper {
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    waiting: HashMap<Pid, oneshot::Sender<Exit>>,
    unclaimed: VecDeque<(u64, Pid, Exit)>,
    sequence: u64,
}

/// A point in time: ends before it belong to processes that have had the same id before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark(u64);

/// The coming end of one process.
pub(crate) type Ending = oneshot::Receiver<Exit>;

impl Reaper {
    /// Now. Take it before starting what will start the process to wait for.
    pub(crate) fn mark(&self) -> Mark {
        Mark(self.table().sequence)
    }

    /// The end of `pid`, which was started after `mark`.
    pub(crate) fn watch(&self, pid: Pid, mark: Mark) -> Ending {
        let (tell, ending) = oneshot::channel();
        let mut table = self.table();
        let early = table
            .unclaimed
            .iter()
            .position(|&(sequence, ended, _)| ended == pid && sequence > mark.0);
        match early.and_then(|index| table.unclaimed.remove(index)) {
            // The receiver is at hand, so it cannot be gone.
            Some((_, _, exit)) => drop(tell.send(exit)),
            None => drop(table.waiting.insert(pid, tell)),
        }
        ending
    }

    /// Collects all children that have ended. Call it when SIGCHLD was seen.
    pub(crate) fn reap(&self) {
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            if let Some(exit) = Exit::of(status) {
                self.ended(pid, exit);
            }
        }
    }

    fn ended(&self, pid: Pid, exit: Exit) {
        let mut table = self.table();
        table.sequence += 1;
        if let Some(tell) = table.waiting.remove(&pid) {
            // Nobody waits any more: the caller gave up.
            let _ = tell.send(exit);
            return;
        }
        if table.unclaimed.len() == MAX_UNCLAIMED {
            table.unclaimed.pop_front();
        }
        let sequence = table.sequence;
        table.unclaimed.push_back((sequence, pid, exit));
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn pid(number: i32) -> Pid {
        Pid::from_raw(number).unwrap()
    }

    #[test]
    fn an_end_before_the_question_is_not_lost() {
        let reaper = Reaper::default();
        let mark = reaper.mark();
        reaper.ended(pid(7), Exit::now(3));
        assert_eq!(reaper.watch(pid(7), mark).try_recv().unwrap().code, 3);
        // It is handed out once.
        assert!(reaper.watch(pid(7), mark).try_recv().is_err());
    }

    #[test]
    fn an_earlier_process_of_the_same_id_is_not_taken_for_it() {
        let reaper = Reaper::default();
        reaper.ended(pid(7), Exit::now(3));
        let mark = reaper.mark();
        let mut ending = reaper.watch(pid(7), mark);
        assert!(ending.try_recv().is_err());
        reaper.ended(pid(7), Exit::now(4));
        assert_eq!(ending.try_recv().unwrap().code, 4);
    }

    #[test]
    fn what_nobody_asks_for_does_not_pile_up() {
        let reaper = Reaper::default();
        for number in 1..=5000 {
            reaper.ended(pid(number), Exit::now(0));
        }
        assert_eq!(reaper.table().unclaimed.len(), MAX_UNCLAIMED);
    }
}
