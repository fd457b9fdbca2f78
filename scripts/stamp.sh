#!/bin/sh
# stamp.sh   prints which sources a program is built from: the commit, with "-dirty" when they were changed since.
#
# $CELLGATE_BUILD wins: where an image is built there is no repository to ask.
if [ -n "${CELLGATE_BUILD:-}" ]; then
    echo "$CELLGATE_BUILD"
    exit
fi
cd "$(dirname "$0")/.." || exit
git describe --always --dirty --abbrev=12 --exclude='*' 2>/dev/null || echo unstamped
