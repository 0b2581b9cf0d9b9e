//! The product as users install it: by `helm` and `kubectl`, on a real cluster, with containers.
//!
//! Not part of a plain `cargo test`: `cargo test --test e2e` installs into the cluster of `KUBECONFIG` (docs/testing.md, "A
//! cluster for the tests"), whose nodes this machine can reach and which has the image of `E2E_IMAGE`. One test at a time.

#[path = "../support/mod.rs"]
mod support;

#[expect(dead_code, reason = "the tests of a bare API server use more of it")]
#[path = "../cluster/kubectl.rs"]
mod kubectl;

mod data;
mod install;
mod kustomize;
mod live;
mod load;
mod release;
mod rollout;
mod runbooks;
