//! The command line of the real binary: layers, complaints, redaction and exit codes.

mod commands;
mod complaints;
mod layers;
mod messages;
mod run;
