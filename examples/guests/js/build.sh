#!/bin/sh
# Builds one guest in JavaScript: build.sh FOLDER gives FOLDER/target/FOLDER.wasm, a component with an engine in it.
#
# What package-lock.json lists is installed once into the cache; node_modules is a link to it. Needs node 20.18 and npm.
set -eu
cd "$(dirname "$0")"
lock=$(cat package.json package-lock.json | cksum | cut -d ' ' -f 1)
packages="${DUNLIN_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/dunlin}/tools/js-$lock"
mkdir -p "$packages"

# Two builds at once would install into the same folder.
exec 9>"$packages/.lock"
if command -v flock >/dev/null; then flock 9; fi
if [ ! -e "$packages/.complete" ]; then
  echo "installing componentize-js and what it needs"
  cp package.json package-lock.json "$packages/"
  (cd "$packages" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error)
  touch "$packages/.complete"
fi
exec 9>&-
ln -sfn "$packages/node_modules" node_modules
exec node build.mjs "$(basename "$1")"
