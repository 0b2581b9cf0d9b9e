//! The Helm charts: rules for every object of every case, rejected values, and common complaints about other charts, each as
//! a test.
//!
//! Not part of a plain `cargo test`, because it needs Helm 3 and Helm 4: `cargo test --test helm` runs it (docs/testing.md, "The
//! charts").

#[path = "../support/mod.rs"]
mod support;

mod manifest;
mod pods;
mod program;
mod release;
mod schema;

mod complaints;
mod config;
mod custom;
mod identity;
mod labels;
mod messages;
mod monitoring;
mod names;
mod network;
mod ports;
mod probes;
mod readme;
mod refusals;
mod resources;
mod rights;
mod rollout;
mod secrets;
mod security;
mod templates;
mod unset;
mod versions;
mod volumes;
