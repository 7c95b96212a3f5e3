#!/usr/bin/env bash
# Everything CI runs, in the order in which a fault is cheapest to find. `scripts/test.sh lint` stops after the lints.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$HOME/.cargo/bin:$PATH"
started=$SECONDS
step() { printf '\n==> [%4ds] %s\n' "$((SECONDS - started))" "$*"; }

step "formatting"
cargo fmt --all --check

step "build"
scripts/build.sh

step "clippy"
cargo clippy --release --locked --workspace --all-targets -- -D warnings

step "supply-chain rules (cargo-deny)"
scripts/deny.sh

if [ "${1:-}" = lint ]; then exit 0; fi

step "assets, guests and fixtures"
cargo xtask assets --all
cargo xtask guests
cargo xtask fixtures
cargo xtask guests --check

step "the peers of the interoperability tests (Go)"
cargo xtask tools --group interop
cargo xtask tools --group containerd

step "unit and black-box tests"
cargo test --release --locked --workspace

step "the demo"
cargo xtask demo

step "done"
