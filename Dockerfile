# The images of Cellgate; `make image` builds both, for this machine or for PLATFORM=linux/arm64.
#
#   runtime (default)  the `cellgate` program, alone: ext-proc service and command line
#   filter             plugin.wasm, alone, where Istio's proxies look for it
#
# Any newer Rust will do. No digest is pinned, so that a rebuild gets the base's fixes; nothing of it reaches the images but
# what the linker takes from glibc. For the same bytes again, give this argument the digest that you built with.
ARG RUST_IMAGE=docker.io/library/rust:1.95.0-slim-bookworm

# Always runs on the machine that builds: compiling for the other architecture is quicker than emulating it.
FROM --platform=$BUILDPLATFORM ${RUST_IMAGE} AS toolchain
# The build output must not contain this path: see scripts/build-wasm.sh.
WORKDIR /usr/src/cellgate-checkout
COPY . .

FROM toolchain AS service-build
ARG TARGETARCH
# Which sources these are, for `/version`: the context has no .git to ask.
ARG REVISION=unstamped
ARG SOURCE_DATE_EPOCH=0
RUN scripts/build-static.sh --install-linker "$TARGETARCH"
# Downloads and dependencies outlive a change of the sources in these caches. The two architectures have one each.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,id=cellgate-target-$TARGETARCH,sharing=locked,target=/usr/src/cellgate-checkout/target \
    CELLGATE_BUILD="$REVISION" scripts/build-static.sh "$TARGETARCH" /out/cellgate && \
    touch -d "@$SOURCE_DATE_EPOCH" /out/cellgate

FROM toolchain AS filter-build
ARG REVISION=unstamped
ARG SOURCE_DATE_EPOCH=0
RUN rustup target add wasm32-unknown-unknown
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,id=cellgate-target-wasm,sharing=locked,target=/usr/src/cellgate-checkout/target \
    CELLGATE_BUILD="$REVISION" scripts/build-wasm.sh && \
    install -D -m 0444 target/cellgate.wasm /out/plugin.wasm && \
    touch -d "@$SOURCE_DATE_EPOCH" /out/plugin.wasm

# Istio takes `plugin.wasm` from the last layer of an image. The module is the same for every architecture.
FROM scratch AS filter
ARG VERSION=unversioned
ARG REVISION=unstamped
LABEL org.opencontainers.image.title="cellgate-filter" \
      org.opencontainers.image.description="Cellgate's proxy-wasm filter for Envoy and Istio" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
COPY --from=filter-build /out/plugin.wasm /plugin.wasm
# Nothing in here can run. It is for scanners, which refuse images of root's.
USER 65532:65532

FROM scratch AS runtime
ARG VERSION=unversioned
ARG REVISION=unstamped
LABEL org.opencontainers.image.title="cellgate" \
      org.opencontainers.image.description="Cellgate's ext-proc service and command line" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
COPY --from=service-build /out/cellgate /cellgate
# By number, so that Kubernetes can tell that it is not root.
USER 65532:65532
# Probes and Prometheus reach a container from outside, so loopback would not do.
ENV CELLGATE_CONFIG=/etc/cellgate/cellgate.json \
    CELLGATE_ADMIN=0.0.0.0:9902
EXPOSE 50051 9902
# No HEALTHCHECK: Kubernetes ignores it, and there is neither a shell nor a client in here to run. The runtime of the image asks
# from outside: grpc.health.v1 on 50051 (a Kubernetes `grpc` probe), or /livez and /readyz on 9902.
ENTRYPOINT ["/cellgate"]
CMD ["serve"]
