//! `kustomize/` is the chart in another form: what it lacks, adds or says otherwise is a failure.
//!
//! Not part of a plain `cargo test`, as it needs `helm` and `kubectl`: `cargo test --test kustomize`. A cluster it does not
//! need. What is made from the chart is made anew by `UPDATE=1 cargo test --test kustomize fresh`.

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
