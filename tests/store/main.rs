//! The contract of the store, for both PostgreSQL and SQLite.

#[path = "../support/mod.rs"]
mod support;

mod contract;
mod digest;
mod months;
mod outages;
mod periods;
mod postgres;
mod rows;
mod sqlite;
mod statistics;
