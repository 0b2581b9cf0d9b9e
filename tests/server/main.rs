//! The program from outside: real process, real sockets, both stores.

#[path = "../support/mod.rs"]
mod support;

mod bodies;
mod bombs;
mod captures;
mod durability;
mod fields;
mod framing;
mod legacy;
mod limits;
mod model;
mod outage;
mod properties;
mod statistics;
mod stores;
