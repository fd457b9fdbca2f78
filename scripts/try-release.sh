#!/bin/sh
# try-release.sh REGISTRY VERSION   runs the published image on this machine's architecture, and says whether it is that version.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
"$root/scripts/need.sh" docker
image=$1/cellgate:$2
said=$(docker run --rm --pull always --read-only --cap-drop ALL --network none "$image" --version)
case $said in
*" $2 "* | *" $2") echo "$image runs on $(uname -m): $said" ;;
*)
    echo "$image is not $2: it says $said" >&2
    exit 1
    ;;
esac
