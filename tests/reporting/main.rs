//! Queries of dashboards to PostgreSQL: the views of the schema `reporting`, and the derived tables behind them.

#[path = "../support/mod.rs"]
mod support;

mod access;
mod derived;
mod fleet;
mod panels;
mod report;
mod runbooks;
