#!/bin/sh
# up.sh   creates the cluster, with a registry beside it, and installs Istio and the mesh of mesh.yaml.
set -eu

cd "$(dirname "$0")/../.."
. scripts/kind/names.sh
tools=$(scripts/mesh-tools.sh istioctl)
scripts/mesh-tools.sh crds >/dev/null
mkdir -p target/kind

scripts/kind/free.sh
touch "$made"
kind create cluster --name "$cluster" --config scripts/kind/cluster.yaml --wait 3m
docker run --detach --name "$registry" --network kind --publish "127.0.0.1:$registry_port:5000" "$registry_image"

kubectl apply --server-side --filename "$tools/../crds/gateway-api.yaml"
kubectl create namespace istio-ingress
"$tools/istioctl" install --skip-confirmation --filename scripts/kind/istio.yaml \
    --set hub=docker.io/istio --set "tag=$istio"
kubectl apply --filename scripts/kind/mesh.yaml
kubectl wait --for=condition=Ready pod/cell-a --namespace cell-a --timeout 3m
kubectl wait --for=condition=Ready pod/cell-b --namespace cell-b --timeout 3m
kubectl wait --for=condition=Ready pod/client --namespace front --timeout 3m
kubectl wait --for=condition=Programmed gateways.gateway.networking.k8s.io/waypoint --namespace front --timeout 3m
