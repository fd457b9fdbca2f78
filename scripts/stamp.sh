#!/bin/sh
# stamp.sh   prints which sources a program is built from: the commit, with "-dirty" when they were changed since.
cd "$(dirname "$0")/.." || exit
git describe --always --dirty --abbrev=12 --exclude='*' 2>/dev/null || echo unstamped
