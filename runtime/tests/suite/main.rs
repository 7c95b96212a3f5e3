//! Black-box tests of the runtime: guests as text where that is short, and the test guests of the repository where they
//! exist. A missing guest is ignored locally and fails in CI.

#![allow(clippy::unwrap_used, reason = "tests")]

mod command;
mod compile;
mod hostile;
mod http;
mod link;
mod nn;
mod support;
