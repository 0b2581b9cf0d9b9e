//! The command line: see [`nutritionfacts`].

fn main() {}
