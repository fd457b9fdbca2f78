#!/bin/sh
# generate.sh [--check]   writes anew what is generated, or only tells whether it is current.
#
# Of what comes from the code, each generator is a test that compares the file with the code, and writes the file instead
# when UPDATE is set. The code of the protocols has a program of its own.
set -eu

cd "$(dirname "$0")/.."
if [ "${1:-}" = --check ]; then
    unset UPDATE
else
    export UPDATE=1
fi
# The schema of the configuration, the reference of the reasons, the test vectors of placement, and the pages of log events
# and metrics.
cargo test --locked --workspace --all-features --quiet \
    --test schema --test reasons_doc --test placement_vectors --test log_events --test metrics_doc
CARGO_TARGET_DIR=target/proto-generator cargo run --locked --quiet --manifest-path proto/generator/Cargo.toml -- proto "$@"
# The dashboards, which are a part of the chart.
python3 scripts/dashboards.py "$@"
# The chart's README and the schema of its values, which has the one above in it; then what the chart renders.
python3 scripts/chart-docs.py "$@"
python3 scripts/manifests.py "$@"
