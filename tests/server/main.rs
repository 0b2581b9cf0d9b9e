//! The program as a process: real sockets, both stores.

#[path = "../support/mod.rs"]
mod support;

mod backup;
mod bodies;
mod bombs;
mod captures;
mod clock;
mod collector;
mod cut;
mod digest;
mod durability;
mod failover;
mod fields;
mod framing;
mod full_disk;
mod gone;
mod hostile;
mod http2;
mod legacy;
mod libpq;
mod limits;
mod live;
mod load;
mod messages;
mod metrics;
mod model;
mod openapi;
mod outage;
mod overload;
mod ping;
mod places;
mod pooler;
mod privacy;
mod profiles;
mod properties;
mod start;
mod starting;
mod statistics;
mod stopping;
mod stores;
mod swaps;
mod tls;
mod traces;
