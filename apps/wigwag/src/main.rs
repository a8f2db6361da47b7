//! The `wigwag` command.
#![forbid(unsafe_code)]

mod api;
mod connections;
mod demo;
mod echo;
mod files;
mod https;
mod invitation;
mod origin;
mod pages;
mod stats;
mod tracks;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// WebRTC from the command line.
#[derive(Debug, Parser)]
#[command(name = "wigwag", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve a page that talks to the engine from a browser (what happens without a command).
    Demo(demo::Options),
}

fn main() -> ExitCode {
    let Command::Demo(options) = Cli::parse().command.unwrap_or_else(|| Command::Demo(demo::Options::default()));
    match demo::run(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("wigwag: {error}");
            ExitCode::FAILURE
        }
    }
}
