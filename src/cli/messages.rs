//! The subcommand `nutritionfacts messages`: checks message files before they are published.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Failure, Shared, With, clock::SystemClock, config::print};
use crate::{
    domain::Clock,
    messages::{Collection, read},
};

/// What to do with messages.
#[derive(Args)]
pub struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Check message files against every rule that Kolibri clients impose
    ///
    /// Prints every error by file, line and document; exit 1 if there is one, 2 if a file cannot be read. Also prints which
    /// messages have a date in the future, which is no error: they are held back until then.
    Check(With<Check>),
}

#[derive(Args)]
struct Check {
    /// Files or folders to check instead of those of `messages.files`
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
}

impl Options {
    /// Checks the messages and prints the result.
    ///
    /// # Errors
    ///
    /// If a message is invalid, or a file cannot be read.
    pub fn run(self, shared: Shared) -> Result<(), Failure> {
        let Command::Check(With { shared: right, options: Check { mut paths } }) = self.command;
        if paths.is_empty() {
            paths.clone_from(&shared.and(right).load()?.messages.files);
        }
        if paths.is_empty() {
            return Err(Failure::Unchecked("nothing to check: name a PATH or set `messages.files`".into()));
        }
        let collection = Collection::of(&read(&paths), &Collection::default());
        let lines: Vec<_> = collection.rejected.iter().flatten().map(|complaint| format!("{complaint}\n")).collect();
        let today = SystemClock.now().date_naive();
        let early: Vec<_> = collection.early(today).map(|note| format!("{note}\n")).collect();
        print(&[lines.concat(), early.concat()].concat())?;
        if !collection.unreadable.is_empty() {
            let lines: Vec<_> = collection.unreadable.iter().map(ToString::to_string).collect();
            return Err(Failure::Unchecked(lines.join("\n")));
        }
        if !lines.is_empty() {
            return Err(Failure::Told(1));
        }
        print(&match collection.messages().count() {
            0 => "these files contain no messages\n".to_owned(),
            1 => "the message is valid\n".to_owned(),
            count => format!("all {count} messages are valid\n"),
        })
    }
}
