#!/bin/sh
# build-static.sh ARCH PROGRAM            builds `cellgate` for amd64 or arm64 into PROGRAM: one file that needs no other.
# build-static.sh --install-linker ARCH   installs what that needs where ARCH is not this machine's (Debian, Ubuntu; as root).
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
usage() { sed -n '2,3s/^# //p' "$0" >&2; exit 64; }

install_linker=
if [ "${1:-}" = --install-linker ]; then
    install_linker=1
    shift
fi
case ${1:-} in
amd64) machine=x86_64 debian=x86-64 libc=amd64 ;;
arm64) machine=aarch64 debian=aarch64 libc=arm64 ;;
*) usage ;;
esac
arch=$1
target=$machine-unknown-linux-gnu
linker=$machine-linux-gnu-gcc
host=$(rustc --version --verbose | sed -n 's/^host: //p')

if [ -n "$install_linker" ]; then
    [ "$target" = "$host" ] && exit
    rustup target add "$target"
    apt-get update -qq
    apt-get install -qq --yes --no-install-recommends "gcc-$debian-linux-gnu" "libc6-dev-$libc-cross"
    exit
fi
[ $# -eq 2 ] || usage
program=$2
cd "$root"

if [ "$target" != "$host" ]; then
    command -v "$linker" >/dev/null 2>&1 || {
        echo "$linker is needed to link for $arch (Debian, Ubuntu: apt-get install gcc-$debian-linux-gnu libc6-dev-$libc-cross)" >&2
        exit 1
    }
    variable=$(echo "CARGO_TARGET_${target}_LINKER" | tr 'a-z-' 'A-Z_')
    export "$variable=$linker"
fi

# All of glibc that it uses is linked in, for an image without a base. Nothing in it resolves names or loads libraries, which is
# what glibc needs its own files for. musl would do too, but all threads share one lock in its allocator.
# The program must not tell where it was built, and must be the same wherever that was: these prefixes turn paths into public ones.
cargo_home=${CARGO_HOME:-$HOME/.cargo}
flags="-C target-feature=+crt-static --remap-path-prefix=$cargo_home=/cargo --remap-path-prefix=$root=/cellgate"
flags="$flags --remap-path-prefix=$(rustc --print sysroot)=/rust"
CELLGATE_BUILD=$(scripts/stamp.sh)
export CELLGATE_BUILD
RUSTFLAGS=$flags cargo build --locked --release -p cellgate-cli --bin cellgate --target "$target"

mkdir -p "$(dirname "$program")"
install -m 0755 "${CARGO_TARGET_DIR:-target}/$target/release/cellgate" "$program"
for path in "$HOME/" "$root/" "$cargo_home/"; do
    if grep -aqF "$path" "$program"; then
        echo "$program tells where it was built: it contains $path" >&2
        exit 1
    fi
done
echo "$program: $(wc -c <"$program" | tr -d ' ') bytes"
