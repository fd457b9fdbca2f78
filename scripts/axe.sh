#!/bin/sh
# axe.sh   prints the path of axe-core's script, which finds faults of accessibility in a page, and installs it into .tools/
# first if need be.
#
# $AXE wins. Exit code 2: there is no npm here, so the tests that need it are skipped.
set -eu

version=4.14.1
# npm's own digest of the package: the SHA-512 in base64.
integrity=sha512-FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ==
root=$(cd "$(dirname "$0")/.." && pwd)
installed=$root/.tools/axe-core-$version/axe.min.js

say() { echo "axe-core $version: $*" >&2; }

if [ -n "${AXE:-}" ]; then
    [ -r "$AXE" ] || { say "AXE names $AXE, which is not a file"; exit 1; }
    echo "$AXE"
    exit
fi
if [ -r "$installed" ]; then
    echo "$installed"
    exit
fi
command -v npm >/dev/null 2>&1 || {
    say "install npm, or set AXE to an axe.min.js"
    exit 2
}
"$root/scripts/need.sh" python3
say "installing into .tools/axe-core-$version (about 600 kB)"
mkdir -p "$root/.tools"
draft=$(mktemp -d "$root/.tools/draft.XXXXXX")
trap 'rm -rf "$draft"' EXIT
trap 'exit 1' HUP INT TERM
(cd "$draft" && npm pack --loglevel=error "axe-core@$version" >&2) || {
    say "npm cannot fetch it, see above. Set AXE to an axe.min.js of yours to do without."
    exit 1
}
python3 - "$draft/axe-core-$version.tgz" "$integrity" <<'CHECK' || { say "the package has another digest than expected"; exit 1; }
import base64, hashlib, sys
digest = hashlib.sha512(open(sys.argv[1], "rb").read()).digest()
sys.exit(sys.argv[2] != "sha512-" + base64.b64encode(digest).decode())
CHECK
tar -xzf "$draft/axe-core-$version.tgz" -C "$draft" package/axe.min.js package/LICENSE
# The rename is the last step: an installation that was broken off is never taken for a complete one.
rm -rf "${installed%/*}"
mv "$draft/package" "${installed%/*}"
say "installed"
echo "$installed"
