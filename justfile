# The commands of daily work; `just` alone lists them.

_default:
    @just --list

# the server with the embedded store
run *ARGS:
    cargo run --release -- serve {{ ARGS }}

# the same with countries of pings, from a public database
run-with-countries *ARGS:
    cargo run --release -- serve --set geoip.database="$(scripts/geoip)" {{ ARGS }}

# all tests, and what they need
test *ARGS:
    scripts/test {{ ARGS }}

# format the sources
fmt:
    cargo fmt --all

# formatting, then clippy with warnings as errors; the tests that need a cluster or its tools are no part of all targets
lint:
    cargo fmt --all --check
    cargo clippy --all-targets --locked -- -D warnings
    cargo clippy --test cluster --test control_plane --test countries --test e2e --test helm --test kustomize --locked -- -D warnings

# licences, bans and sources of the dependencies
deny:
    cargo deny --all-features check bans licenses sources

# the committed files that are made from the code
generate:
    scripts/generate

# the Helm charts, with Helm 3 and Helm 4
charts *ARGS:
    scripts/chart --check
    scripts/test-charts
    cargo test --locked --test helm {{ ARGS }}

# the fuzz targets, so many seconds each
fuzz *ARGS:
    scripts/fuzz {{ ARGS }}

# the server against its own OpenAPI document
openapi:
    cargo build --locked
    scripts/test-openapi

# the server with real Kolibri releases
kolibri *ARGS:
    cargo build --release --locked
    scripts/test-kolibri {{ ARGS }}

# the documentation as a book, and its links and diagrams
book:
    scripts/book

# the documentation of the library
doc:
    cargo doc --no-deps --locked --open

# everything that continuous integration checks
ci:
    .ci/run
