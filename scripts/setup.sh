#!/usr/bin/env bash
# Installs what building needs (demo), and what the tests need on top (test). Idempotent: a machine that has everything is
# left alone. Packages are installed only as root; otherwise the missing ones are named and the script stops.
set -euo pipefail
mode="${1:-demo}"
min_rust=1.95

missing=()
need() { # COMMAND PACKAGE
  command -v "$1" >/dev/null 2>&1 || missing+=("$2")
}
need cc build-essential
need make make
need git git
need curl curl
need python3 python3
python3 -m pip --version >/dev/null 2>&1 || missing+=(python3-pip)
if [ "$mode" = test ]; then
  python3 -c 'import ensurepip, venv' >/dev/null 2>&1 || missing+=(python3-venv)
  need docker-registry docker-registry
  need skopeo skopeo
  need openssl openssl
  need containerd containerd
  need runc runc
fi

if [ ${#missing[@]} -gt 0 ]; then
  if ! command -v apt-get >/dev/null 2>&1; then
    echo "setup: missing: ${missing[*]}; there is no apt-get here: install them with this system's package manager" >&2
    exit 1
  fi
  if [ "$(id -u)" -ne 0 ]; then
    echo "setup: missing packages, and this is not root. Run:  sudo apt-get install ${missing[*]}" >&2
    exit 1
  fi
  echo "==> installing ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

export PATH="$HOME/.cargo/bin:$PATH"
rust_version() { rustc --version 2>/dev/null | sed -E 's/^rustc ([0-9]+\.[0-9]+).*/\1/'; }
at_least() { [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]; }
have="$(rust_version || true)"
if [ -z "$have" ] || ! at_least "$min_rust" "$have"; then
  if ! command -v rustup >/dev/null 2>&1 && [ "$(id -u)" -eq 0 ] && apt-cache show rustup >/dev/null 2>&1; then
    echo "==> installing rustup"
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends rustup >/dev/null
  fi
  if command -v rustup >/dev/null 2>&1; then
    echo "==> installing Rust (this project needs $min_rust or newer, found: ${have:-none})"
    rustup toolchain install stable --profile minimal --component clippy --component rustfmt
    rustup default stable
  else
    echo "setup: Rust $min_rust or newer is needed (found: ${have:-none}). Install rustup (its site has a one-line installer), then run this again." >&2
    exit 1
  fi
fi
if [ "$mode" = test ]; then
  cargo clippy --version >/dev/null 2>&1 || rustup component add clippy
  cargo fmt --version >/dev/null 2>&1 || rustup component add rustfmt
  if ! command -v go >/dev/null 2>&1; then
    echo "setup: Go 1.26 or newer builds the peers of the interoperability tests; a distribution's package is often older: install it from its own site" >&2
    [ "${CI:-}" != true ] || exit 1
  fi
fi
