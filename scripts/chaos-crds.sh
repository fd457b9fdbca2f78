#!/bin/sh
# chaos-crds.sh   prints the folder with the CRDs of Chaos Mesh that istio/recipes/chaos uses, and fetches them into .tools/
# first if need be. They come from the Go module proxy; the version and the checksum are in mesh-tools/chaos-crds.
#
# Not beside the other CRDs of mesh-tools.sh, which the API server of the mesh tests loads: each one costs it time and memory.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
module=$root/scripts/mesh-tools/chaos-crds
place=$root/.tools/chaos-crds
name=github.com/chaos-mesh/chaos-mesh

say() { echo "chaos CRDs: $*" >&2; }

stamp=$(cat "$module/go.mod" "$module/go.sum" "$0" | cksum)
if [ "$(cat "$place/stamp" 2>/dev/null)" = "$stamp" ]; then
    echo "$place"
    exit
fi
"$root/scripts/need.sh" go
say "fetching those of Chaos Mesh (4 MB, once)"
mkdir -p "$root/.tools"
draft=$(mktemp -d "$root/.tools/draft.XXXXXX")
trap 'rm -rf "$draft"' EXIT
trap 'exit 1' HUP INT TERM
version=$(awk -v name="$name" '$1 == "require" && $2 == name { print $3 }' "$module/go.mod")
if ! download=$(cd "$module" && go mod download -json "$name@$version"); then
    echo "$download" >&2
    say "the module $name could not be downloaded; what Go said is above"
    exit 1
fi
folder=$(echo "$download" | sed -n 's/.*"Dir": "\(.*\)".*/\1/p')
for kind in podchaos networkchaos stresschaos timechaos iochaos; do
    cp "$folder/config/crd/bases/chaos-mesh.org_$kind.yaml" "$draft/"
done
chmod 755 "$draft" # mktemp makes it for one user only
chmod 644 "$draft"/*.yaml
echo "$stamp" >"$draft/stamp"
# The rename is the last step: an installation that was broken off is never taken for a complete one.
rm -rf "$place"
mv "$draft" "$place"
echo "$place"
