#!/bin/sh
# down.sh   removes the cluster and its registry.
set -eu

cd "$(dirname "$0")/../.."
. scripts/kind/names.sh
kind delete cluster --name "$cluster"
docker rm --force "$registry" >/dev/null
