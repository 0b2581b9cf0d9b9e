//! The command line: see [`nutritionfacts`].

use std::{env, process::ExitCode};

use nutritionfacts::cli::{self, Failure};

/// Requests make many small values on one thread and drop them on another: see docs/performance.md.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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
