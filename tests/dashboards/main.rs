//! Grafana's dashboards: made from `dashboards/source`, and held against rules.
//!
//! `UPDATE=1 cargo test --test dashboards fresh` makes them anew.

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
