# The server's image: the program alone on distroless, without a shell and without root.
#
#   docker build --build-arg REVISION="$(git rev-parse HEAD)" --tag nutritionfacts .
#   docker build --target debug --output . .          the debug symbols, as nutritionfacts.debug
#   docker run --publish 8080:8080 --volume nutritionfacts:/data nutritionfacts

ARG RUST_IMAGE=docker.io/library/rust:1.95-slim-bookworm
ARG RUNTIME_IMAGE=gcr.io/distroless/cc-debian12:nonroot

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
COPY docker/image.yaml /etc/nutritionfacts/image.yaml
# Where the embedded store is, unless something is mounted there.
COPY --from=build --chown=65532:65532 /out/data /data
ENV NUTRITIONFACTS_CONFIG=/etc/nutritionfacts/image.yaml
WORKDIR /
USER 65532:65532
EXPOSE 8080 8081
ENTRYPOINT ["/nutritionfacts"]
CMD ["serve"]
