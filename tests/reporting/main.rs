//! What dashboards ask PostgreSQL: the views of the schema `reporting`, and the rollups under them.

#[path = "../support/mod.rs"]
mod support;

mod access;
mod fleet;
mod panels;
mod report;
mod rollups;
