# The server's image: the program alone on distroless, without a shell and without root.
#
#   docker build --build-arg REVISION="$(git rev-parse HEAD)" --tag nutritionfacts .
#   docker build --build-arg GEOIP=without .           without the database of countries (docs/operations.md, "Countries")
#   docker build --target debug --output . .          the debug symbols, as nutritionfacts.debug
#   docker run --publish 8080:8080 --volume nutritionfacts:/data nutritionfacts

ARG RUST_IMAGE=docker.io/library/rust:1.95-slim-bookworm
ARG RUNTIME_IMAGE=gcr.io/distroless/cc-debian12:nonroot
ARG NODE_IMAGE=docker.io/library/node:22-bookworm-slim
ARG GEOIP=with

FROM ${RUST_IMAGE} AS manifest
WORKDIR /build
COPY Cargo.toml Cargo.lock ./
# Tests and benches are not in the context, and cargo wants to see what the manifest names.
RUN awk '/^\[/ { skip = /^\[\[/ } !skip' Cargo.toml >Cargo.short && mv Cargo.short Cargo.toml

# Of the dependencies alone: this layer stays until one of them changes.
FROM manifest AS dependencies
ARG CARGO_NET_OFFLINE=false
RUN mkdir src && touch src/lib.rs && echo 'fn main() {}' >src/main.rs \
    && cargo build --profile dist --locked \
    && rm -r src target/dist/deps/*nutritionfacts* target/dist/.fingerprint/nutritionfacts-*

FROM dependencies AS build
COPY migrations migrations
COPY src src
ARG CARGO_NET_OFFLINE=false
ARG REVISION=unknown
RUN NUTRITIONFACTS_REVISION=$REVISION cargo build --profile dist --locked && mkdir -p /out/data && cd /out \
    && objcopy --only-keep-debug /build/target/dist/nutritionfacts nutritionfacts.debug \
    && objcopy --strip-debug --add-gnu-debuglink=nutritionfacts.debug /build/target/dist/nutritionfacts nutritionfacts

FROM scratch AS debug
COPY --from=build /out/nutritionfacts.debug /

FROM ${RUST_IMAGE} AS geoip-without
COPY docker/image.yaml /out/etc/nutritionfacts/image.yaml

# npm fetches the database.
FROM ${NODE_IMAGE} AS geoip-with
WORKDIR /build
COPY scripts/geoip scripts/geoip
COPY docker docker
RUN scripts/geoip /out/usr/share/nutritionfacts/countries.mmdb && rm /out/usr/share/nutritionfacts/*.version \
    && mkdir -p /out/etc/nutritionfacts && cat docker/image.yaml docker/geoip.yaml >/out/etc/nutritionfacts/image.yaml

FROM geoip-${GEOIP} AS geoip

FROM ${RUNTIME_IMAGE}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="nutritionfacts" \
      org.opencontainers.image.description="The telemetry server of Kolibri" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.source="https://github.com/learningequality/nutritionfacts" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /out/nutritionfacts /nutritionfacts
COPY --from=geoip /out/ /
# Where the embedded store is, unless something is mounted there.
COPY --from=build --chown=65532:65532 /out/data /data
ENV NUTRITIONFACTS_CONFIG=/etc/nutritionfacts/image.yaml
WORKDIR /
USER 65532:65532
EXPOSE 8080 8081
ENTRYPOINT ["/nutritionfacts"]
CMD ["serve"]
