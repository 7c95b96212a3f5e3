//! The catalogue of what an attacker between a publisher and a machine can try: each case is refused before any layer is
//! fetched, or, where the layer itself is the lie, before anybody sees it; each has a test and a message of its own.
//! docs/reference/tampering.md lists them.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod bits;
mod catalogue;
mod identities;
mod names;
mod origin;
mod registries;
mod scene;
mod signatures;

const REFUSED: i32 = 4;
const CORRUPT: i32 = 5;
const NETWORK: i32 = 6;
