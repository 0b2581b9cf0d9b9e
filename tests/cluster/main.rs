//! The program and its custom resource against a real API server.
//!
//! Not part of a plain `cargo test`, because it needs a cluster: `cargo test --test cluster` uses that of `KUBECONFIG`
//! (docs/testing.md, "A cluster for the tests").

#[path = "../support/mod.rs"]
mod support;

mod cases;
mod charts;
mod config_maps;
mod crd;
mod install;
mod kubectl;
mod messages;
mod refusals;
mod replicas;
mod troubles;
