#!/bin/sh
# github-release.sh   makes the release of this version on GitHub, with what `make dist` and `make publish` have written.
#
# Needs GitHub's `gh`, and the tag there. What the tag says is the text.
set -eu

cd "$(dirname "$0")/.."
scripts/need.sh gh
version=$(scripts/version.sh)
for file in SHA256SUMS SHA256SUMS.sigstore.json digests.json; do
    [ -f "target/dist/$file" ] || {
        echo "target/dist/$file is missing: run \`make dist\` and \`make publish\` first" >&2
        exit 1
    }
done
# The layouts of the images are in the registry; the folder oci/ is left out.
set --
for file in target/dist/*; do [ ! -f "$file" ] || set -- "$@" "$file"; done
gh release create "v$version" --verify-tag --title "Cellgate $version" --notes-from-tag "$@"
