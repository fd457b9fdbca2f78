#!/bin/sh
# version.sh   prints Cellgate's version, which all its crates share.
set -eu
sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' "$(dirname "$0")/../Cargo.toml"
