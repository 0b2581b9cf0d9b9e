//! What follows from pings and reports: each is digested once, in whatever order they come, and the same ones always lead to
//! the same (docs/decisions/0015-one-outbox.md). Pure: the store reads what is asked for here, and writes what comes out.

pub mod activity;
pub mod demographics;
pub mod facts;
pub mod pings;
pub mod usage;
