//! Black-box tests of the runtime: guests as text where that is short, and the test guests of the repository where they
//! exist. A missing guest is ignored locally and fails in CI.

#![allow(clippy::unwrap_used, reason = "tests")]

mod command;
mod compile;
mod fuzz;
mod hostile;
mod http;
mod inference;
mod link;
mod nn;
mod outbound;
mod random;
mod support;
mod wasi03;
mod witx;
