//! Grafana's dashboards: generated from `dashboards/source`, and checked by rules.
//!
//! `UPDATE=1 cargo test --test dashboards fresh` regenerates them.

mod expand;
mod expressions;
mod fresh;
mod kinds;
mod layout;
mod panels;
#[path = "../support/promtool.rs"]
mod promtool;
mod rules;
mod source;
