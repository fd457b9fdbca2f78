#!/bin/sh
# free.sh   fails if the cluster or its registry exists: another run's that was kept, or one that is not ours. Changes nothing.
set -eu

cd "$(dirname "$0")/../.."
. scripts/kind/names.sh
there=
if kind get clusters 2>/dev/null | grep -qx "$cluster"; then
    there="the kind cluster $cluster"
elif docker container inspect "$registry" >/dev/null 2>&1; then
    there="the container $registry"
fi
[ -n "$there" ] || exit 0
if [ -e "$made" ]; then
    echo "$there is left from another run here: look at it, then remove it with scripts/kind/down.sh" >&2
else
    echo "$there exists and was not made here: remove it yourself if nobody needs it" >&2
fi
exit 1
