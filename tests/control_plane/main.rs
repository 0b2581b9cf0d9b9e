//! The server while the API server is down, or comes back in another state.
//!
//! Not part of a plain `cargo test`, because it needs its own control plane: `cargo test --test control_plane` stops and
//! starts that of `CONTROL_PLANE` (docs/testing.md, "A cluster for the tests").

#[path = "../support/mod.rs"]
mod support;

#[expect(dead_code, reason = "the tests of any cluster use more of it")]
#[path = "../cluster/install.rs"]
mod install;
#[expect(dead_code, reason = "the tests of any cluster use more of it")]
#[path = "../cluster/kubectl.rs"]
mod kubectl;

mod away;
mod definition;
mod plane;
mod rights;
