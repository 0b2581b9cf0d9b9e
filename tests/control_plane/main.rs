//! What becomes of the server while the API server is away, or comes back as another one.
//!
//! Not part of a plain `cargo test`, as it takes a control plane of its own: `cargo test --test control_plane` stops and
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
