#!/bin/sh
# crane.sh   prints the path of crane, which pushes to registries and asks them, and builds it into .tools/ first if need be.
#
# $CRANE wins, then the one on PATH, whatever version it is. Exit code 2: there is none to be had here.
set -eu

version=0.21.9
root=$(cd "$(dirname "$0")/.." && pwd)

if [ -n "${CRANE:-}" ]; then
    [ -x "$CRANE" ] || { echo "CRANE names $CRANE, which is not a program" >&2; exit 1; }
    echo "$CRANE"
    exit
fi
if command -v crane; then
    exit
fi
exec "$root/scripts/go-program.sh" crane "$version" ../release-tools/crane \
    github.com/google/go-containerregistry/cmd/crane 1 \
    "-X github.com/google/go-containerregistry/cmd/crane/cmd.Version=v$version"
