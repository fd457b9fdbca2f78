#!/bin/sh
# otelcol.sh   prints the path of an OpenTelemetry collector, and builds it into .tools/ first if need be.
#
# $OTELCOL wins, whatever version it is. An otelcol-contrib on PATH is taken when its version is the one asked for. Exit code
# 2: there is none to be had here. scripts/observe-tools/otelcol/main.go lists the components of the one that is built.
set -eu

version=0.140.0
root=$(cd "$(dirname "$0")/.." && pwd)

if [ -n "${OTELCOL:-}" ]; then
    [ -x "$OTELCOL" ] || { echo "OTELCOL names $OTELCOL, which is not a program" >&2; exit 1; }
    echo "$OTELCOL"
    exit
fi
if found=$(command -v otelcol-contrib) && "$found" --version 2>/dev/null | grep -q " version $version\$"; then
    echo "$found"
    exit
fi
exec "$root/scripts/go-program.sh" otelcol "$version" otelcol . 3 "-X main.version=$version"
