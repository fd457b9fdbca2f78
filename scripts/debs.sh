#!/bin/sh
# debs.sh [--with-dependencies] FOLDER PACKAGE   unpacks a package of Debian or Ubuntu into a new folder, in the version that
# this system has. Nothing is installed into the system.
#
# With --with-dependencies also what apt would install for it on this system. Exit code 2: the system has no such package.
# 1: it cannot be fetched.
set -eu

with_dependencies=
if [ "$1" = --with-dependencies ]; then
    with_dependencies=1
    shift
fi
folder=$1
package=$2

say() { echo "$package: $*" >&2; }

# shellcheck disable=SC2015 # the message is for either
command -v apt-get >/dev/null 2>&1 && command -v dpkg-deb >/dev/null 2>&1 || {
    say "this system has no packages of Debian"
    exit 2
}
mkdir -p "${folder%/*}"
draft=$(mktemp -d "${folder%/*}/debs.XXXXXX")
trap 'rm -rf "$draft"' EXIT
trap 'exit 1' HUP INT TERM

# Prints the packages that are needed, by apt's lists. Nothing if they have no such package. A page in a browser needs no
# desktop, so nothing does here.
needed() {
    if [ -n "$with_dependencies" ]; then
        apt-get "$@" -s --no-install-recommends install "$package" 2>/dev/null |
            awk '$1 == "Inst" && $2 != "xdg-utils" { print $2 }'
    else
        apt-cache "$@" show --no-all-versions "$package" 2>/dev/null | awk '$1 == "Package:" { print $2 }'
    fi
}

# Downloads them, with options of apt.
fetch() {
    packages=$(needed "$@")
    [ -n "$packages" ] || return 2
    # shellcheck disable=SC2086 # several packages
    (cd "$draft" && apt-get "$@" download -qq $packages >&2) || return 1
}

set -- -oAPT::Sandbox::User="$(id -un)"
if ! fetch "$@"; then
    # The system's lists may be empty, or name versions that are gone from the mirror. They are fetched anew, into a copy: if a
    # source does not answer, its old list is still there, and may name what is needed.
    say "fetching the lists of packages"
    mkdir -p "$draft/lists" "$draft/cache/archives/partial"
    cp -R /var/lib/apt/lists/. "$draft/lists" 2>/dev/null || true
    rm -rf "$draft/lists/partial" "$draft/lists/lock"
    mkdir "$draft/lists/partial"
    set -- -oDir::State::Lists="$draft/lists" -oDir::Cache="$draft/cache" "$@"
    apt-get "$@" update -qq >&2 || say "apt-get update has failed, see above; going on with the lists that there are"
    code=0
    fetch "$@" || code=$?
    case $code in
    0) ;;
    2)
        say "this system's packages have none of this name"
        exit 2
        ;;
    *)
        say "cannot be fetched, see above"
        exit 1
        ;;
    esac
fi
mkdir "$draft/files"
for file in "$draft"/*.deb; do dpkg-deb -x "$file" "$draft/files"; done
# The rename is the last step: a folder that was broken off is never taken for a complete one.
mv "$draft/files" "$folder"
