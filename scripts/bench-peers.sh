#!/bin/sh
# bench-peers.sh   builds what the benchmark compares Cellgate with: the filter that everybody writes first, and a router
# in Go where Go is installed. A row whose program is missing is left out of the report, and said so.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"

say() { echo "bench: $*" >&2; }

# Cellgate's module has its dependencies optimised for size, as they do their work while it starts. Here serde_json is
# what is measured: it gets all that the compiler can do.
scripts/cargo-wasm.sh build --locked --config 'profile.wasm.package."*".opt-level=3' --profile wasm -p cellgate-bench-naive

program=target/bench/go-router
mkdir -p "${program%/*}"
rm -f "$program"
if ! command -v go >/dev/null 2>&1; then
    say "no row for the router in Go: Go is not installed"
elif ! (cd bench/go-router && go test . && go build -trimpath -o "$root/$program" .) >"$program.log" 2>&1; then
    # An old Go, or no way to fetch the modules: the benchmark of everything else needs neither.
    say "no row for the router in Go: it could not be built, as $program.log tells"
fi
command -v haproxy >/dev/null 2>&1 || say "no row for HAProxy: it is not installed"
