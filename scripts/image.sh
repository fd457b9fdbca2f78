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
aarch64 | arm64) platform=${PLATFORM:-linux/arm64} ;;
*) platform=${PLATFORM:-linux/amd64} ;;
esac
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
podman | buildah) set -- "$builder" build --timestamp "$epoch" ;;
*)
    echo "no image builder is here: docker, podman or buildah (Debian, Ubuntu: apt-get install buildah)" >&2
    echo "Where docker is installed, its service does not answer: see what \`docker version\` says." >&2
    exit 1
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
