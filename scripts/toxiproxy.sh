#!/bin/sh
# toxiproxy.sh   prints the path of a toxiproxy-server, and builds it into .tools/ first if need be.
#
# $TOXIPROXY wins, then one on PATH: versions differ little. Exit code 2: there is none to be had here.
set -eu

version=2.5.0
root=$(cd "$(dirname "$0")/.." && pwd)

if [ -n "${TOXIPROXY:-}" ]; then
    [ -x "$TOXIPROXY" ] || { echo "TOXIPROXY names $TOXIPROXY, which is not a program" >&2; exit 1; }
    echo "$TOXIPROXY"
    exit
fi
if command -v toxiproxy-server; then
    exit
fi
exec "$root/scripts/go-program.sh" toxiproxy-server "$version" toxiproxy github.com/Shopify/toxiproxy/v2/cmd/server 1 \
    "-X github.com/Shopify/toxiproxy/v2.Version=$version"
