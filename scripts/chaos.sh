#!/bin/sh
# chaos.sh PROGRAM [ARGUMENT...]   runs the chaos program with a small file system at $CHAOS_DISK, where one can be mounted.
#
# The file system belongs to a mount namespace, which ends with the last of its processes. So nothing stays mounted, however
# the run ends. It needs root and util-linux's unshare; without them the run has no full disk.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
CHAOS_DISK=$root/target/chaos-disk
mkdir -p "$CHAOS_DISK"
if command -v unshare >/dev/null 2>&1 && unshare --mount mount -t tmpfs tmpfs "$CHAOS_DISK" 2>/dev/null; then
    export CHAOS_DISK
    # shellcheck disable=SC2016 # the inner shell expands it
    exec unshare --mount sh -c 'mount -t tmpfs -o size=64m tmpfs "$CHAOS_DISK" && exec "$@"' sh "$@"
fi
unset CHAOS_DISK
exec "$@"
