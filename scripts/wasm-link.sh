#!/bin/sh
# wasm-link.sh ARGUMENT...   links a wasm module with rust-lld, as rustc would without this script. A package whose build
#                            script passes --only-exports=FILE gets those functions exported and no others.
#
# rustc exports every function that any crate in the module marks with a name, and Envoy calls what it finds. A name left
# out here is no root for the linker's garbage collection either, so its code goes too.
set -eu

only=
compress=
for argument; do
    case $argument in
    --only-exports=*) only=${argument#*=} ;;
    # Calls and addresses as short as their numbers are, not padded to five bytes: a twentieth of the module. lld refuses
    # it for a module with debug information, whose offsets would be wrong.
    --strip-all | --strip-debug) compress=--compress-relocations ;;
    esac
done

if [ -n "$only" ]; then
    kept=' '
    left=$#
    # Each turn takes from the front and appends what stays.
    while [ "$left" -gt 0 ]; do
        argument=$1
        shift
        left=$((left - 1))
        case $argument in
        --only-exports=*) ;;
        --export)
            name=$1
            shift
            left=$((left - 1))
            if grep -qxF "$name" "$only"; then
                kept="$kept$name "
                set -- "$@" --export "$name"
            fi
            ;;
        @*)
            echo "wasm-link.sh: cannot look into $argument" >&2
            exit 1
            ;;
        *) set -- "$@" "$argument" ;;
        esac
    done
    while read -r name; do
        case $kept in
        *" $name "*) ;;
        *)
            echo "wasm-link.sh: the module has no $name, which $only lists" >&2
            exit 1
            ;;
        esac
    done <"$only"
fi

# rustc puts its own tools on PATH.
for linker in rust-lld lld; do
    if command -v "$linker" >/dev/null 2>&1; then
        exec "$linker" "$@" $compress
    fi
done
echo "wasm-link.sh: neither rust-lld nor lld is on PATH" >&2
exit 1
