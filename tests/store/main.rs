//! The contract of the store, for both PostgreSQL and SQLite.

#[path = "../support/mod.rs"]
mod support;

mod contract;
mod digest;
mod periods;
mod postgres;
mod rows;
mod sqlite;
