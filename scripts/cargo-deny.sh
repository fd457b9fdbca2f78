#!/bin/sh
# cargo-deny.sh [CHECK...]   checks every dependency against deny.toml: its licence, its versions, where it is from.
#
# Advisories are not among the checks made without arguments: their database is a git repository that not every machine
# reaches. `make advisories` asks for them, and so does the workflow in .github.
set -eu

version=0.20.2
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"

scripts/need.sh cargo
if ! cargo-deny --version 2>/dev/null | grep -qxF "cargo-deny $version"; then
    tools=.tools/cargo-deny-$version
    if [ ! -x "$tools/bin/cargo-deny" ]; then
        echo "cargo-deny $version: building it into $tools (about 5 minutes, once)" >&2
        cargo install --locked --quiet --version "$version" --root "$tools" cargo-deny >&2
    fi
    PATH=$root/$tools/bin:$PATH
fi
[ $# -gt 0 ] || set -- licenses bans sources
exec cargo-deny --all-features check --hide-inclusion-graph "$@"
