#!/bin/sh
# image.sh   builds both images, $IMAGE:VERSION and $IMAGE-filter:VERSION, with docker, podman or buildah.
#
# IMAGE=NAME          default `cellgate`, which no registry is part of
# PLATFORM=linux/...  amd64 or arm64; default: this machine's
# BUILDER=PROGRAM     one of the three; default: the first that works here
set -eu

cd "$(dirname "$0")/.."
image=${IMAGE:-cellgate}
version=$(scripts/version.sh)
revision=$(scripts/stamp.sh)
case $(uname -m) in
aarch64 | arm64) here=linux/arm64 ;;
*) here=linux/amd64 ;;
esac
platform=${PLATFORM:-$here}
# The time of the commit: the same sources make the same image, whenever they do.
epoch=$(git log -1 --format=%ct 2>/dev/null || echo 0)

# Docker's client is of no use without its service; the others have none.
works() {
    case $1 in
    docker) docker version >/dev/null 2>&1 ;;
    *) command -v "$1" >/dev/null 2>&1 ;;
    esac
}
builder=${BUILDER:-}
if [ -z "$builder" ]; then
    for builder in docker podman buildah none; do works "$builder" && break; done
fi
case $builder in
docker) set -- docker build ;;
# Older ones do not know the Dockerfile's BUILDPLATFORM by themselves, and would take a compiler for $platform.
podman | buildah) set -- "$builder" build --timestamp "$epoch" --build-arg "BUILDPLATFORM=$here" ;;
none)
    echo "no image builder works here: install docker, podman or buildah (Debian, Ubuntu: apt-get install buildah)" >&2
    if command -v docker >/dev/null 2>&1; then
        echo "docker is here, but its service does not answer: start it, or see what \`docker version\` says" >&2
    fi
    exit 1
    ;;
*)
    echo "BUILDER is $builder: it can be docker, podman or buildah" >&2
    exit 64
    ;;
esac

echo "building for $platform with $builder, from $revision" >&2
for target in runtime filter; do
    tag=$image:$version
    [ "$target" = runtime ] || tag=$image-filter:$version
    "$@" --platform "$platform" --target "$target" --tag "$tag" --build-arg "VERSION=$version" \
        --build-arg "REVISION=$revision" --build-arg "SOURCE_DATE_EPOCH=$epoch" .
    echo "$tag"
done
