#!/bin/sh
# cargo-wasm.sh COMMAND [ARGUMENT...]   runs cargo for the filter's target, with the flags that target needs.
set -eu

target=wasm32-unknown-unknown
root=$(cd "$(dirname "$0")/.." && pwd)
cargo_home=${CARGO_HOME:-$HOME/.cargo}

library=$("$root/scripts/wasm-target.sh")
# Between two flags, as in CARGO_ENCODED_RUSTFLAGS: a path may have spaces.
next=$(printf '\037')
# simd128: every Envoy since 1.36 runs it, and the scanners are several times faster.
# The module must not tell where it was built: these prefixes turn the paths in it into public ones.
flags="-Ctarget-feature=+simd128${next}--remap-path-prefix=$cargo_home=/cargo${next}--remap-path-prefix=$root=/cellgate"
flags="$flags${next}--remap-path-prefix=$(rustc --print sysroot)=/rust"

# Named here and not in the flags: cargo makes the flags a part of every symbol's name.
export CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER="$root/scripts/wasm-link.sh"

command=$1
shift
set -- --target "$target" "$@"
if [ -n "$library" ]; then
    flags="$flags${next}--remap-path-prefix=${library%/library}=/rust"
    export RUSTC_BOOTSTRAP=1 __CARGO_TESTS_ONLY_SRC_ROOT="$library"
    set -- -Zbuild-std=std,panic_abort "$@"
fi
CARGO_ENCODED_RUSTFLAGS=$flags exec cargo "$command" "$@"
