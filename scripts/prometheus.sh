#!/bin/sh
# prometheus.sh   prints the folder with the programs `prometheus` and `promtool`, and installs them into .tools/ first if
# need be.
#
# $PROMETHEUS, a folder with both, wins; then the two on PATH. Nothing is installed into the system: the package of Debian or
# Ubuntu is unpacked, in the version that the system has. Exit code 2: there is none to be had here.
set -eu

# The oldest version that is known to work; Debian 12 has it.
oldest=2.42.0
root=$(cd "$(dirname "$0")/.." && pwd)
installed=$root/.tools/prometheus

say() { echo "prometheus: $*" >&2; }

# The version of the program "$1".
version_of() { "$1" --version 2>&1 | sed -n 's/^[a-z]*, version \([0-9.]*\).*/\1/p'; }

# Whether both programs of the folder "$1" run and are new enough.
is_wanted() {
    for name in prometheus promtool; do
        found=$(version_of "$1/$name")
        [ -n "$found" ] && [ "$(printf '%s\n' "$oldest" "$found" | sort -V | head -n 1)" = "$oldest" ] || return 1
    done
}

if [ -n "${PROMETHEUS:-}" ]; then
    [ -x "$PROMETHEUS/prometheus" ] && [ -x "$PROMETHEUS/promtool" ] || {
        say "PROMETHEUS names $PROMETHEUS, which is no folder with the programs prometheus and promtool"
        exit 1
    }
    echo "$PROMETHEUS"
    exit
fi
if server=$(command -v prometheus) && [ -x "${server%/*}/promtool" ] && is_wanted "${server%/*}"; then
    echo "${server%/*}"
    exit
fi
if [ ! -x "$installed/promtool" ]; then
    mkdir -p "$root/.tools"
    draft=$(mktemp -d "$root/.tools/draft.XXXXXX")
    trap 'rm -rf "$draft"' EXIT
    trap 'exit 1' HUP INT TERM
    say "fetching the package (about 40 MB; 100 MB unpacked)"
    # The two programs need nothing but the C library, so the other packages that apt would install are left out.
    code=0
    "$root/scripts/debs.sh" "$draft/files" prometheus || code=$?
    if [ "$code" -ne 0 ]; then
        say "install Prometheus $oldest or later from https://prometheus.io/download, or set PROMETHEUS to its folder"
        exit "$code"
    fi
    is_wanted "$draft/files/usr/bin" || {
        say "the system's package is older than $oldest, or does not run: install a newer one, or set PROMETHEUS to its folder"
        exit 2
    }
    rm -rf "$installed"
    # The rename is the last step: an installation that was broken off is never taken for a complete one.
    mv "$draft/files/usr/bin" "$installed"
    say "installed $(version_of "$installed/prometheus") into .tools/prometheus"
fi
echo "$installed"
