#!/bin/sh
# Builds one guest in Python: build.sh FOLDER gives FOLDER/target/FOLDER.wasm, a component with an interpreter in it.
#
# componentize-py is installed once, at the version in requirements.txt, into the cache. Needs python3 with venv.
set -eu
cd "$(dirname "$0")"
guest=$(basename "$1")
version=$(sed -n 's/^componentize-py==//p' requirements.txt)
venv="${DUNLIN_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/dunlin}/tools/componentize-py-$version"
mkdir -p "$(dirname "$venv")"

# Two builds at once would install into the same folder.
exec 9>"$venv.lock"
if command -v flock >/dev/null; then flock 9; fi
if [ ! -e "$venv/.complete" ]; then
  echo "installing componentize-py $version"
  rm -rf "$venv"
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check --no-deps --only-binary :all: --requirement requirements.txt
  touch "$venv/.complete"
fi
exec 9>&-

out="$guest/target"
mkdir -p "$out"
"$venv/bin/componentize-py" --quiet --wit-path ../wit --world http componentize \
  --python-path "$guest" --python-path sdk --output "$out/$guest.wasm.new" app
mv "$out/$guest.wasm.new" "$out/$guest.wasm"
echo "$out/$guest.wasm"
