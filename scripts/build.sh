#!/usr/bin/env bash
# Builds the workspace; the demo and the tests share one crate graph, so that features never differ and nothing is compiled
# twice. cargo draws its own progress bar on a terminal.
set -euo pipefail
cd "$(dirname "$0")/.."
echo "==> building dunlin (a first build compiles wasmtime and the ONNX engine: about 10 minutes on 2 cores)"
exec scripts/cargo.sh build --release --locked --workspace
