//! The binary: see [`nutritionfacts`].

use std::{env, process::ExitCode};

use nutritionfacts::cli::{self, Failure};

fn main() -> ExitCode {
    match try_main() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.report();
            failure.exit_code()
        }
    }
}

fn try_main() -> Result<(), Failure> {
    cli::run(env::args_os())
}
