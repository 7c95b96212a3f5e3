//! [`Flights`]: one compilation per digest at a time in the process, and one [`Code`] as long as somebody holds it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use crate::code::{Code, CodeInner};

type Slot = Arc<Mutex<Weak<CodeInner>>>;

#[derive(Default)]
pub(super) struct Flights {
    slots: Mutex<HashMap<String, Slot>>,
}

impl Flights {
    /// The live code of `digest`, or what `make` gives. Callers with one digest wait for each other; others do not.
    pub(super) fn run<E>(&self, digest: &str, make: impl FnOnce() -> Result<Code, E>) -> Result<Code, E> {
        let slot = self.slot(digest);
        let mut held = slot.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(inner) = held.upgrade() {
            return Ok(Code { inner });
        }
        let code = make()?;
        *held = Arc::downgrade(&code.inner);
        Ok(code)
    }

    fn slot(&self, digest: &str) -> Slot {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        // A slot that only the map holds has no caller inside, so its lock is free.
        slots.retain(|_, slot| {
            Arc::strong_count(slot) > 1 || slot.lock().unwrap_or_else(PoisonError::into_inner).strong_count() > 0
        });
        Arc::clone(slots.entry(digest.to_owned()).or_default())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::sync::{
        Barrier,
        atomic::{AtomicUsize, Ordering},
    };

    use wasmtime::{Engine, Module};

    use super::*;
    use crate::code::Compiled;

    fn code(engine: &Engine) -> Code {
        Code::new(
            "d",
            Compiled::Module(Module::from_binary(engine, b"\0asm\x01\0\0\0").unwrap()),
        )
    }

    #[test]
    fn callers_of_one_digest_share_one_compilation() {
        let engine = Engine::default();
        let (flights, barrier, made) = (Flights::default(), Barrier::new(4), AtomicUsize::new(0));
        let codes = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        barrier.wait();
                        flights.run("d", || {
                            made.fetch_add(1, Ordering::SeqCst);
                            Ok::<_, ()>(code(&engine))
                        })
                    })
                })
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap().unwrap())
                .collect::<Vec<_>>()
        });
        assert_eq!(made.load(Ordering::SeqCst), 1);
        drop(codes);
        flights.run("e", || Ok::<_, ()>(code(&engine))).unwrap();
        assert!(!flights.slots.lock().unwrap().contains_key("d"));
    }

    #[test]
    fn an_error_is_not_kept() {
        let (flights, engine) = (Flights::default(), Engine::default());
        assert!(flights.run("d", || Err::<Code, _>("no")).is_err());
        assert!(flights.run("d", || Ok::<_, &str>(code(&engine))).is_ok());
    }
}
