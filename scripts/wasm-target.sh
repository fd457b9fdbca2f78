#!/bin/sh
# wasm-target.sh   makes sure that Rust can build for wasm32-unknown-unknown.
#
# Prints nothing when the standard library for it is installed. Where only its source could be had, prints that
# folder: the build then needs -Zbuild-std (scripts/build-wasm.sh does it).
set -eu

target=wasm32-unknown-unknown
root=$(cd "$(dirname "$0")/.." && pwd)

say() { echo "$target: $*" >&2; }

"$root/scripts/need.sh" cargo rustc
[ -d "$(rustc --print sysroot)/lib/rustlib/$target/lib" ] && exit

if command -v rustup >/dev/null 2>&1; then
    say "adding it with rustup"
    if rustup target add "$target" >&2; then
        exit
    fi
fi

# Debian and Ubuntu carry the source of the same release. Its build is a matter of half a minute, once.
version=$(rustc --version | cut -d' ' -f2)
sources=$root/.tools/rust-src-$version
library=$sources/usr/src/rustc-$version/library
if [ ! -d "$library" ]; then
    command -v apt-get >/dev/null 2>&1 || {
        say "cannot be added: run 'rustup target add $target' where that works"
        exit 1
    }
    say "building it from Debian's rust-src $version instead, into .tools/rust-src-$version (about 50 MB)"
    mkdir -p "$root/.tools"
    draft=$(mktemp -d "$root/.tools/draft.XXXXXX")
    trap 'rm -rf "$draft"' EXIT
    trap 'exit 1' HUP INT TERM
    mkdir -p "$draft/apt/lists/partial" "$draft/apt/cache/archives/partial" "$draft/files"
    # An apt of our own, beside the system's: no privileges, and nothing of the system is changed.
    # shellcheck disable=SC2016 # for apt-get, not for the shell
    mirror=$(apt-get indextargets --format '$(REPO_URI)' | grep '/debian/$' | grep -v security | sort -u | head -n 1)
    apt_options="-oDir::Etc::sourcelist=$draft/apt/sources.list -oDir::Etc::sourceparts=-
        -oDir::State::Lists=$draft/apt/lists -oDir::Cache=$draft/apt/cache -oAPT::Sandbox::User=$(id -un)"
    package=
    for suite in trixie-backports sid; do
        echo "deb $mirror $suite main" >"$draft/apt/sources.list"
        # shellcheck disable=SC2086 # several options
        apt-get $apt_options update -qq >&2 || continue
        # shellcheck disable=SC2086
        package=$(apt-cache $apt_options madison rust-src | awk -v version="$version" \
            'index($3, version) == 1 { print $3; exit }')
        [ -n "$package" ] && break
    done
    [ -n "$package" ] || {
        say "Debian has no rust-src $version: run 'rustup target add $target' where that works"
        exit 1
    }
    # shellcheck disable=SC2086
    (cd "$draft" && apt-get $apt_options download -qq "rust-src=$package" >&2)
    dpkg-deb --fsys-tarfile "$draft"/rust-src_*.deb | tar -x -C "$draft/files" "./usr/src/rustc-$version/library"
    [ -f "$draft/files/usr/src/rustc-$version/library/Cargo.toml" ] # or the package is not what it was
    mv "$draft/files" "$sources"
fi
echo "$library"
