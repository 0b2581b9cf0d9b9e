//! Shared by test binaries; each includes it by `#[path = "../support/mod.rs"] mod support;`.

#![allow(dead_code, reason = "every test binary uses another part of it")]

pub mod authority;
pub mod grafana;
pub mod helm;
pub mod http;
pub mod line;
pub mod mmdb;
pub mod mount;
pub mod pgbouncer;
pub mod postgres;
pub mod prometheus;
pub mod proxy;
pub mod render;
pub mod rows;
pub mod runbooks;
pub mod server;

use std::{
    thread,
    time::{Duration, Instant},
};

/// Longer than any wait on a slow machine: if it is reached, the condition will never hold.
pub const LIMIT: Duration = Duration::from_mins(2);

/// Polls until the condition returns a value.
///
/// # Panics
/// With `what` after [`LIMIT`].
pub fn eventually<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(begun.elapsed() < LIMIT, "this never came true: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}
