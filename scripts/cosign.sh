#!/bin/sh
# cosign.sh [--built]   prints the path of cosign, which signs and verifies what is in a registry, and builds it into .tools/
# first if need be. With --built it never builds: exit code 2 if there is none.
#
# $COSIGN wins, then the one on PATH, whatever version it is. Exit code 2: there is none to be had here.
set -eu

version=3.1.3
root=$(cd "$(dirname "$0")/.." && pwd)

if [ -n "${COSIGN:-}" ]; then
    [ -x "$COSIGN" ] || { echo "COSIGN names $COSIGN, which is not a program" >&2; exit 1; }
    echo "$COSIGN"
    exit
fi
if command -v cosign; then
    exit
fi
if [ "${1:-}" = --built ] && [ ! -x "$root/.tools/cosign-$version/cosign" ]; then
    exit 2
fi
exec "$root/scripts/go-program.sh" cosign "$version" ../release-tools/cosign github.com/sigstore/cosign/v3/cmd/cosign 6
