#!/bin/bash -eu
# build.sh   builds the fuzz targets into $OUT, each with its seeds and its dictionary. OSS-Fuzz runs it in its image.
#
# Elsewhere: SRC=DIRECTORY-ABOVE-THE-CHECKOUT OUT=DIRECTORY fuzz/oss-fuzz/build.sh, with cargo-fuzz on PATH. $TARGETS names
# some of the targets.

root=${CELLGATE:-$SRC/cellgate}
cd "$root"

# Before the targets: the image sets the sanitizer's flags for every compilation, and this program needs none.
(
    unset RUSTFLAGS
    python3 fuzz/oss-fuzz/seeds.py "$OUT"
)

# Where cargo-fuzz builds, unless the environment says another place.
built=${CARGO_TARGET_DIR:-fuzz/target}/x86_64-unknown-linux-gnu/release
for target in ${TARGETS:-$(cargo fuzz list)}; do
    # Debug assertions and checks of overflow are faults that a fuzzer should see.
    cargo fuzz build -O --debug-assertions "$target"
    cp "$built/$target" "$OUT/"
    if [ -f "fuzz/dictionaries/$target.dict" ]; then
        cp "fuzz/dictionaries/$target.dict" "$OUT/"
    fi
done
