//! The subcommand `nutritionfacts migrate`: migrates the store to the schema of this version.

use clap::Args;

use super::{Failure, clock::SystemClock};
use crate::{config::Loaded, domain::Clock, store::Store};

/// `migrate` takes no flags of its own.
#[derive(Debug, Args)]
pub struct Options {}

impl Options {
    /// Applies pending migrations and returns.
    ///
    /// # Errors
    ///
    /// If the store cannot be reached, or a migration fails.
    pub async fn run(self, loaded: Loaded) -> Result<(), Failure> {
        let store = Store::open(&loaded.store).await.map_err(|error| Failure::of_store(&loaded, error))?;
        store.migrate(SystemClock.now()).await.map_err(Failure::running)?;
        store.close().await;
        tracing::info!(store = store.kind(), "the schema is up to date");
        Ok(())
    }
}
