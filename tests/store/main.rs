//! The contract of the store, kept by PostgreSQL and SQLite alike.

#[path = "../support/mod.rs"]
mod support;

mod contract;
mod digest;
mod periods;
mod postgres;
mod rows;
mod sqlite;
