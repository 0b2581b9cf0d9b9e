//! `nutritionfacts migrate`: the store's tables as this version needs them.

use clap::Args;

use super::Failure;
use crate::config::Loaded;

/// `migrate` takes no flags of its own.
#[derive(Debug, Args)]
pub struct Options {}

impl Options {
    /// Applies what is missing, then ends.
    ///
    /// # Errors
    ///
    /// If the store cannot be reached, or refuses a migration.
    #[expect(clippy::unused_async, reason = "until it is built")]
    pub async fn run(self, loaded: Loaded) -> Result<(), Failure> {
        Err(Failure::running(format!("migrate is not built yet; the configuration {} is right", loaded.hash)))
    }
}
