#!/bin/sh
# fuzz.sh [SECONDS] [TARGET...]   runs each fuzz target for so long, from its committed corpus; a finding is a failure.
set -eu

version=0.13.2
seconds=${1:-600}
[ $# -eq 0 ] || shift
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"

scripts/need.sh cargo cc
if ! command -v cargo-fuzz >/dev/null 2>&1; then
    tools=.tools/cargo-fuzz-$version
    if [ ! -x "$tools/bin/cargo-fuzz" ]; then
        echo "cargo-fuzz $version: building it into $tools (about a minute, once)" >&2
        cargo install --locked --quiet --version "$version" --root "$tools" cargo-fuzz >&2
    fi
    PATH=$root/$tools/bin:$PATH
fi
# The sanitizers are part of the stable compiler too; this admits their flags.
export RUSTC_BOOTSTRAP=1
# shellcheck disable=SC2046 # several names
[ $# -gt 0 ] || set -- $(cargo-fuzz list)
for target in "$@"; do
    echo "fuzzing $target for $seconds s" >&2
    # What is found on the way is kept apart: the committed corpus grows only on purpose.
    mkdir -p "fuzz/target/found/$target"
    cargo-fuzz run "$target" "fuzz/target/found/$target" "fuzz/corpus/$target" -- \
        -max_total_time="$seconds" -print_final_stats=1
done
