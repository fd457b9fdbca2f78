#!/bin/sh
# test.sh   runs Cellgate in a kind cluster with Istio: behind an ingress gateway, and behind a waypoint of the ambient mode.
#
# KEEP=1 leaves the cluster for you to look at, and the next run refuses to begin. down.sh removes it.
set -eu

cd "$(dirname "$0")/../.."
scripts/need.sh docker kind kubectl helm go
# Before the trap: whatever is there already stays.
scripts/kind/free.sh
. scripts/kind/names.sh
[ -n "${KEEP:-}" ] || trap '[ ! -e "$made" ] || scripts/kind/down.sh' EXIT
for step in up install check; do
    echo "==> kind: $step"
    if ! scripts/kind/$step.sh; then
        echo "==> kind: $step has failed; the state of the cluster:"
        scripts/kind/state.sh
        exit 1
    fi
done
