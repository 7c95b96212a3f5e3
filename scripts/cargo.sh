#!/usr/bin/env bash
# Runs cargo where rustup may have been installed moments ago and is not on PATH yet.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$HOME/.cargo/bin:$PATH"
exec cargo "$@"
