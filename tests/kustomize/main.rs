//! Compares `kustomize/` with the chart: any difference that is not listed is an error.
//!
//! Not part of a plain `cargo test`, because it needs `helm` and `kubectl`: `cargo test --test kustomize`. It needs no
//! cluster. `UPDATE=1 cargo test --test kustomize fresh` regenerates the files that are generated from the chart.

mod difference;
mod equality;
mod fresh;
mod made;
mod object;
mod pairs;
mod readme;
mod rules;
mod strict;
mod tools;
mod tree;
