//! nutritionfacts: the telemetry server of Kolibri.
//!
//! Layers, from the top; a module imports only from lower ones, never from a sibling (`tests/layers.rs`):
//!
//! ```text
//! 6  cli                    the command line; the only module that imports all others
//! 5  http  cluster          interfaces to clients and to Kubernetes (independent of each other)
//! 4  ingest  messages  geoip  maintenance  leadership    what the service does (independent of each other)
//! 3  store                  PostgreSQL and SQLite
//! 2  telemetry  lifecycle   logs, metrics and traces; start and stop
//! 1  config                 settings and where each value comes from
//! 0  domain                 types and rules without I/O
//! ```
//!
//! The path of one ping:
//!
//! ```text
//! bytes ─ http/body ─ domain::pingback ─ ingest ─ writer queue ─ one statement ─ COMMIT ─ reply
//!                                        known          pings, new profiles,  └─ digest ─ what is derived, periods to count
//!                                       profile?          row of the outbox
//! ```

pub mod cli;
pub mod cluster;
pub mod config;
pub mod domain;
pub mod geoip;
pub mod http;
pub mod ingest;
pub mod leadership;
pub mod lifecycle;
pub mod maintenance;
pub mod messages;
pub mod store;
pub mod telemetry;
