#!/bin/sh
# install.sh   builds the images, brings them to the cluster, and installs the chart.
set -eu

cd "$(dirname "$0")/../.."
. scripts/kind/names.sh

BUILDER=docker make --no-print-directory image
kind load docker-image "cellgate:$version" --name "$cluster"

# The filter as Istio's agents fetch it: from a registry, by the digest of its manifest.
pushed=127.0.0.1:$registry_port/cellgate-filter:$version
docker tag "cellgate-filter:$version" "$pushed"
docker push --quiet "$pushed"
digest=$(docker image inspect --format '{{index .RepoDigests 0}}' "$pushed" | sed 's/.*@sha256://')
address=$(docker container inspect --format '{{.NetworkSettings.Networks.kind.IPAddress}}' "$registry")

helm upgrade --install cellgate charts/cellgate --namespace cellgate --values scripts/kind/values.yaml \
    --set "image.tag=$version" \
    --set "filter.module.url=oci://$address:5000/cellgate-filter:$version" --set-string "filter.module.sha256=$digest" \
    --wait --timeout 5m
