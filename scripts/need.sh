#!/bin/sh
# need.sh TOOL...   ends with an explanation when a tool is not installed.
set -eu

missing=0
for tool in "$@"; do
    command -v "$tool" >/dev/null 2>&1 && continue
    missing=1
    case $tool in
    cargo | rustc | rustup) how="install Rust 1.90 or later from https://rustup.rs" ;;
    python3) how="install Python 3.9 or later (Debian, Ubuntu: apt-get install python3 python3-venv)" ;;
    docker) how="install Docker (https://docs.docker.com/engine/install)" ;;
    gh) how="install GitHub's client from https://cli.github.com, then run: gh auth login" ;;
    kind) how="install kind from https://kind.sigs.k8s.io" ;;
    go) how="install Go 1.26 or later from https://go.dev/dl" ;;
    cc) how="install a C compiler, Rust's linker (Debian, Ubuntu: apt-get install build-essential)" ;;
    *) how="install it and make sure that it is on PATH" ;;
    esac
    echo "$tool is needed: $how" >&2
done
exit "$missing"
