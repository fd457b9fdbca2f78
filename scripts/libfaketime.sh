#!/bin/sh
# libfaketime.sh   prints the path of libfaketime for programs with threads, and unpacks it into .tools/ first if need be.
#
# $LIBFAKETIME wins. Nothing is installed into the system: Debian's and Ubuntu's package is unpacked. Exit code 2: this system
# has no such package.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
place=$root/.tools/libfaketime
library=$place/libfaketimeMT.so.1

say() { echo "libfaketime: $*" >&2; }

if [ -n "${LIBFAKETIME:-}" ]; then
    [ -f "$LIBFAKETIME" ] || { say "LIBFAKETIME names $LIBFAKETIME, which does not exist"; exit 1; }
    echo "$LIBFAKETIME"
    exit
fi
if [ ! -f "$library" ]; then
    say "unpacking it into .tools/libfaketime (less than 1 MB)"
    mkdir -p "$root/.tools"
    draft=$(mktemp -d "$root/.tools/draft.XXXXXX")
    trap 'rm -rf "$draft"' EXIT
    trap 'exit 1' HUP INT TERM
    "$root/scripts/debs.sh" "$draft/files" libfaketime
    set -- "$draft"/files/usr/lib/*/faketime/libfaketimeMT.so.1
    [ -f "$1" ] || { say "the package has no libfaketimeMT.so.1"; exit 1; }
    mkdir "$draft/place"
    cp "$1" "$draft/place/"
    chmod 755 "$draft/place"
    # The rename is the last step: an installation that was broken off is never taken for a complete one.
    rm -rf "$place"
    mv "$draft/place" "$place"
fi
echo "$library"
