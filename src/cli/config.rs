//! The subcommands of `nutritionfacts config`: show, check and describe the configuration.

use std::{
    io::{self, Write},
    path::PathBuf,
};

use clap::{Args, Subcommand};

use super::{Failure, Shared, With};
use crate::{
    config::{Complaint, load, schema, show},
    store::Store,
};

/// What to do with the configuration.
#[derive(Args)]
pub struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Print the effective configuration as YAML, secrets redacted
    Show(With<Show>),
    /// Print every error in the configuration; exit 1 if there is one, 2 if a file cannot be read
    ///
    /// Checks the configuration that `serve` would use, including environment and flags.
    Check(With<Check>),
    /// Print the JSON Schema of a configuration file
    Schema,
}

#[derive(Args)]
struct Show {
    /// Print beside each key which layer set it
    #[arg(long)]
    origins: bool,
}

#[derive(Args)]
struct Check {
    /// Files to check instead of those of `--config` and `NUTRITIONFACTS_CONFIG`
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
}

impl Options {
    /// Runs the subcommand and prints its result.
    ///
    /// # Errors
    ///
    /// If the configuration is invalid, or stdout is closed.
    pub fn run(self, shared: Shared) -> Result<(), Failure> {
        match self.command {
            Command::Show(with) => print(&show(&shared.and(with.shared).load()?, with.options.origins)),
            Command::Check(with) => check(shared.and(with.shared), with.options.files),
            Command::Schema => print(&format!("{:#}\n", schema())),
        }
    }
}

fn check(shared: Shared, files: Vec<PathBuf>) -> Result<(), Failure> {
    let shared = if files.is_empty() { shared } else { Shared { config: files, ..shared } };
    match load(&shared.layers()) {
        Ok(loaded) => {
            // The store's URL and files are checked as at the start of `serve`.
            Store::check(&loaded.store).map_err(|error| Failure::of_store(&loaded, error))?;
            let misplaced = loaded.misplaced();
            if !misplaced.is_empty() {
                return complain(&misplaced);
            }
            loaded.privacy.read_key().map_err(|error| Failure::of_rules(&loaded, error.into()))?;
            print("the configuration is valid\n")
        }
        Err(complaints) if complaints.iter().any(|complaint| complaint.unreadable) => Err(Failure::Config(complaints)),
        Err(complaints) => complain(&complaints),
    }
}

fn complain(complaints: &[Complaint]) -> Result<(), Failure> {
    let lines: Vec<_> = complaints.iter().map(|complaint| format!("{complaint}\n")).collect();
    print(&lines.concat())?;
    Err(Failure::Told(1))
}

/// `println!` panics when stdout is closed (`… | head`).
pub(super) fn print(text: &str) -> Result<(), Failure> {
    io::stdout().write_all(text.as_bytes()).map_err(Failure::running)
}
