#!/bin/sh
# go-program.sh NAME VERSION FOLDER PACKAGE MINUTES [LINKER-FLAG]   prints the path of the program NAME of that version, and
# builds it into .tools/NAME-VERSION/ first if need be. The scripts of the programs call it.
#
# The source comes from the Go module proxy, with versions in FOLDER/go.mod (from scripts/observe-tools) and checksums in go.sum
# beside it. MINUTES is the CPU time of a build for which nothing is in Go's build cache. Exit code 2: it cannot be had here.
set -eu

name=$1 version=$2 folder=$3 package=$4 minutes=$5 flag=${6:-}
root=$(cd "$(dirname "$0")/.." && pwd)
module=$root/scripts/observe-tools/$folder
place=$root/.tools/$name-$version

say() { echo "$name $version: $*" >&2; }

# What the program was made from: another choice of components is another program of the same version.
stamp=$(cat "$module"/go.mod "$module"/go.sum "$module"/*.go 2>/dev/null | cksum)
is_current() { [ -x "$place/$name" ] && [ "$(cat "$place/stamp" 2>/dev/null)" = "$stamp" ]; }

if is_current; then
    echo "$place/$name"
    exit
fi
"$root/scripts/need.sh" go || exit 2
mkdir -p "$root/.tools"
# Without flock two runs at once are as right, and twice the work.
if command -v flock >/dev/null 2>&1; then
    exec 9>"$root/.tools/$name.lock"
    flock -n 9 || { say "waiting for another run of this script"; flock 9; }
    if is_current; then
        echo "$place/$name"
        exit
    fi
fi
say "building it into .tools/$name-$version (up to $minutes min of CPU time, once)"
draft=$(mktemp -d "$root/.tools/draft.XXXXXX")
trap 'rm -rf "$draft"' EXIT
trap 'exit 1' HUP INT TERM
start=$(date +%s)
# Without git's state, which is not the program's. `9>&-`: what Go leaves running must not hold the lock.
if ! (cd "$module" && CGO_ENABLED=0 nice -n 5 go build -mod=readonly -buildvcs=false -trimpath -ldflags "-s -w $flag" \
    -o "$draft/$name" "$package" </dev/null >"$draft/log" 2>&1 9>&-); then
    grep -v '^go: downloading' "$draft/log" >&2 || true
    say "could not be built; what Go said is above. Put a $name of yours on PATH, or name it with a variable."
    exit 2
fi
rm "$draft/log"
chmod 755 "$draft" # mktemp makes it for one user only
echo "$stamp" >"$draft/stamp"
# The rename is the last step: an installation that was broken off is never taken for a complete one.
rm -rf "$place"
mv "$draft" "$place"
say "built in $(($(date +%s) - start)) s"
echo "$place/$name"
