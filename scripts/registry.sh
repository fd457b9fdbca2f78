#!/bin/sh
# registry.sh   prints the path of a registry server (CNCF Distribution), and unpacks it into .tools/registry/ first if need be.
#
# $REGISTRY_SERVER wins; then a docker-registry on PATH. Nothing is installed into the system: the package of Debian or Ubuntu
# is unpacked, in the version that the system has. Exit code 2: there is none to be had here.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
installed=$root/.tools/registry

if [ -n "${REGISTRY_SERVER:-}" ]; then
    [ -x "$REGISTRY_SERVER" ] || { echo "REGISTRY_SERVER names $REGISTRY_SERVER, which is not a program" >&2; exit 1; }
    echo "$REGISTRY_SERVER"
    exit
fi
if command -v docker-registry; then
    exit
fi
if [ ! -x "$installed/docker-registry" ]; then
    mkdir -p "$root/.tools"
    draft=$(mktemp -d "$root/.tools/draft.XXXXXX")
    trap 'rm -rf "$draft"' EXIT
    trap 'exit 1' HUP INT TERM
    echo "registry: fetching the package docker-registry (about 6 MB; 20 MB unpacked)" >&2
    code=0
    "$root/scripts/debs.sh" "$draft/files" docker-registry || code=$?
    if [ "$code" -ne 0 ]; then
        echo "registry: name a server of yours with REGISTRY_SERVER" >&2
        exit "$code"
    fi
    "$draft/files/usr/bin/docker-registry" --version >&2
    # The rename is the last step: an installation that was broken off is never taken for a complete one.
    rm -rf "$installed"
    mv "$draft/files/usr/bin" "$installed"
fi
echo "$installed/docker-registry"
