//! The crate from outside: models built here, loaded by the engines, computed directly and through the scheduler.
#![allow(clippy::unwrap_used, reason = "tests")]

mod builder;

mod choice;
mod conditionals;
mod graphs;
mod hostile;
mod onnxruntime;
mod scheduling;
