//! nutritionfacts: the telemetry server of Kolibri.
//!
//! Floors, from the top; a module imports only from lower floors, never from a sibling (`tests/floors.rs`):
//!
//! ```text
//! 6  cli                    the only place that knows everyone
//! 5  http  cluster          how the world speaks to us (do not know each other)
//! 4  ingest  messages  maintenance  leadership    what the service does (do not know each other)
//! 3  store                  where rows rest
//! 2  telemetry  lifecycle   how we are seen, how we start and stop
//! 1  config                 what may be set, from which layer it came
//! 0  domain                 the words and the pure rules
//! ```
//!
//! The walk of one ping:
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
pub mod http;
pub mod ingest;
pub mod leadership;
pub mod lifecycle;
pub mod maintenance;
pub mod messages;
pub mod store;
pub mod telemetry;
