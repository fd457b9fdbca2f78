#!/bin/sh
# chromium.sh   prints the path of a Chromium that runs without a screen, and installs one into .tools/ first if need be.
#
# $CHROMIUM wins, then the first on PATH. Nothing is installed into the system: Debian's packages are unpacked, the
# browser's and those of the libraries that this system lacks. Exit code 2: there is none to be had here.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
installed=$root/.tools/chromium

say() { echo "chromium: $*" >&2; }

if [ -n "${CHROMIUM:-}" ]; then
    [ -x "$CHROMIUM" ] || { say "CHROMIUM names $CHROMIUM, which is not a program"; exit 1; }
    echo "$CHROMIUM"
    exit
fi
for name in chromium-headless-shell chromium google-chrome chromium-browser; do
    # Ubuntu's chromium-browser may be a script that only tells how to install the real one.
    if found=$(command -v "$name") && "$found" --version >/dev/null 2>&1; then
        echo "$found"
        exit
    fi
done
if [ ! -x "$installed/chromium" ]; then
    mkdir -p "$root/.tools"
    draft=$(mktemp -d "$root/.tools/draft.XXXXXX")
    trap 'rm -rf "$draft"' EXIT
    trap 'exit 1' HUP INT TERM
    say "fetching the packages (about 100 MB; 300 MB unpacked)"
    # The browser without a window, and whatever else apt would install for it on this system.
    code=0
    "$root/scripts/debs.sh" --with-dependencies "$draft/files" chromium-headless-shell || code=$?
    if [ "$code" -ne 0 ]; then
        say "install a Chromium, or set CHROMIUM"
        exit "$code"
    fi
    # The libraries are where their packages would have put them; so a wrapper names the places.
    cat >"$draft/files/chromium" <<'WRAPPER'
#!/bin/sh
here=$(cd "$(dirname "$0")" && pwd)
for library in "$here"/usr/lib/*-linux-gnu*; do
    LD_LIBRARY_PATH=$library:$library/pulseaudio${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
done
# A system without fonts of its own has no configuration for them either. It names the fonts below XDG_DATA_HOME too.
[ -e /etc/fonts/fonts.conf ] || export FONTCONFIG_PATH="$here/etc/fonts" XDG_DATA_HOME="$here/usr/share"
export LD_LIBRARY_PATH
exec "$here/usr/lib/chromium/chromium-headless-shell" "$@"
WRAPPER
    chmod +x "$draft/files/chromium"
    say "it is $("$draft/files/chromium" --version)"
    rm -rf "$installed"
    # The rename is the last step: an installation that was broken off is never taken for a complete one.
    mv "$draft/files" "$installed"
fi
echo "$installed/chromium"
