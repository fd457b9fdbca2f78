#!/bin/sh
# github-release.sh   makes the release of this version on GitHub, with what `make dist` and `make publish` have written.
#
# Needs GitHub's `gh`, and the tag there. What the tag says is the text. Run again, it goes on: where the release is there
# already, also as a draft that a broken run has left, it gets the files.
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
# The latest release is what users are led to: never one before a release.
case $version in
*-*) prerelease=true ;;
*) prerelease=false ;;
esac
if gh release view "v$version" >/dev/null 2>&1; then
    gh release upload "v$version" --clobber "$@"
    gh release edit "v$version" --verify-tag --draft=false --prerelease="$prerelease"
else
    gh release create "v$version" --verify-tag --prerelease="$prerelease" --title "Cellgate $version" --notes-from-tag "$@"
fi
