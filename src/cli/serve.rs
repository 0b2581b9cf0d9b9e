//! `nutritionfacts serve`: the server.

use clap::Args;

use super::Failure;
use crate::config::Loaded;

/// `serve` takes no flags of its own.
#[derive(Debug, Args)]
pub struct Options {}

impl Options {
    /// Runs until it is told to stop.
    ///
    /// # Errors
    ///
    /// Whatever keeps it from starting, or ends it before its time.
    #[expect(clippy::unused_async, reason = "until it is built")]
    pub async fn run(self, loaded: Loaded) -> Result<(), Failure> {
        Err(Failure::running(format!("serve is not built yet; the configuration {} is right", loaded.hash)))
    }
}
