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
mod live;
mod metrics;
mod model;
mod openapi;
mod outage;
mod privacy;
mod properties;
mod start;
mod statistics;
mod stores;
