#!/bin/sh
# valgrind.sh   prints the path of a valgrind, and installs one into .tools/ first if need be.
#
# $VALGRIND wins, then the one on PATH. Nothing is installed into the system: Debian's and Ubuntu's package is unpacked.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
installed=$root/.tools/valgrind

say() { echo "valgrind: $*" >&2; }

if [ -n "${VALGRIND:-}" ]; then
    [ -x "$VALGRIND" ] || { say "VALGRIND names $VALGRIND, which is not a program"; exit 1; }
    echo "$VALGRIND"
    exit
fi
if command -v valgrind; then
    exit
fi
if [ ! -x "$installed/valgrind" ]; then
    say "unpacking it into .tools/valgrind (about 70 MB)"
    mkdir -p "$root/.tools"
    draft=$(mktemp -d "$root/.tools/draft.XXXXXX")
    trap 'rm -rf "$draft"' EXIT
    trap 'exit 1' HUP INT TERM
    "$root/scripts/debs.sh" "$draft/files" valgrind || {
        say "install it (macOS has none for its newer versions), or set VALGRIND"
        exit 1
    }
    set -- "$draft"/files/usr/libexec/valgrind "$draft"/files/usr/lib/*/valgrind
    for library; do [ -d "$library" ] && break; done
    # It looks for its tools where its package would have put them, so a wrapper names the place.
    cat >"$draft/files/valgrind" <<WRAPPER
#!/bin/sh
here=\$(cd "\$(dirname "\$0")" && pwd)
VALGRIND_LIB=\$here/${library#"$draft"/files/} exec "\$here/usr/bin/valgrind" "\$@"
WRAPPER
    chmod +x "$draft/files/valgrind"
    "$draft/files/valgrind" --version >&2
    rm -rf "$installed"
    # The rename is the last step: an installation that was broken off is never taken for a complete one.
    mv "$draft/files" "$installed"
fi
echo "$installed/valgrind"
