//! `nutritionfacts config`: shows, checks and describes the configuration.

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
    /// Print all that is wrong; exit 1 if anything is, 2 if a file cannot be read
    ///
    /// Checks what `serve` would start with, environment and flags included.
    Check(With<Check>),
    /// Print the JSON Schema of a configuration file
    Schema,
}

#[derive(Args)]
struct Show {
    /// Say beside each key which layer set it
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
    /// Prints what was asked for.
    ///
    /// # Errors
    ///
    /// If the configuration is wrong, or nobody reads what is printed.
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
            // As `serve` finds them when it starts.
            Store::check(&loaded.store).map_err(|error| Failure::of_store(&loaded, error))?;
            let misplaced = loaded.misplaced();
            if !misplaced.is_empty() {
                return complain(&misplaced);
            }
            loaded.privacy.read_key().map_err(|error| Failure::of_rules(&loaded, error.into()))?;
            print("the configuration is right\n")
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

/// `println!` panics when the reader has gone away (`… | head`).
pub(super) fn print(text: &str) -> Result<(), Failure> {
    io::stdout().write_all(text.as_bytes()).map_err(Failure::running)
}
