//! What several test binaries share; each takes it in by `#[path = "../support/mod.rs"] mod support;`.

#![allow(dead_code, reason = "every test binary uses another part of it")]

pub mod postgres;
