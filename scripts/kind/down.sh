#!/bin/sh
# down.sh   removes the cluster and its registry, if up.sh has made them here.
set -eu

cd "$(dirname "$0")/../.."
. scripts/kind/names.sh
if ! [ -e "$made" ]; then
    echo "no cluster was made here, so none is removed" >&2
    exit 1
fi
kind delete cluster --name "$cluster"
if docker container inspect "$registry" >/dev/null 2>&1; then
    docker rm --force "$registry" >/dev/null
fi
rm "$made"
