#!/bin/sh
# jaeger.sh   prints the path of Jaeger's all-in-one program (collector, storage in memory, query API), and builds it into
# .tools/ first if need be.
#
# $JAEGER wins, whatever version it is. A jaeger-all-in-one on PATH is taken when its version is the one asked for. Exit code
# 2: there is none to be had here. Its page is a placeholder, because the module has no built page; the query API is whole.
set -eu

version=1.76.0
root=$(cd "$(dirname "$0")/.." && pwd)

if [ -n "${JAEGER:-}" ]; then
    [ -x "$JAEGER" ] || { echo "JAEGER names $JAEGER, which is not a program" >&2; exit 1; }
    echo "$JAEGER"
    exit
fi
if found=$(command -v jaeger-all-in-one) && "$found" version 2>/dev/null | grep -q "\"gitVersion\":\"v$version\""; then
    echo "$found"
    exit
fi
exec "$root/scripts/go-program.sh" jaeger-all-in-one "$version" jaeger \
    github.com/jaegertracing/jaeger/cmd/all-in-one 5 \
    "-X github.com/jaegertracing/jaeger/internal/version.latestVersion=v$version"
