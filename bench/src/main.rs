//! Session beside dtach, tmux and screen, in one run: create, echo, throughput, `ls`, memory, wake-ups, restart.
//!
//! No timed test: it prints a table with the project's bars and exits with 0 whatever the numbers are. Ratios
//! between programs of one run are what counts; absolute times are those of the machine and its load.

mod arena;
mod client;
mod emulator;
mod fifo;
mod generator;
mod guard;
mod measure;
mod peers;
mod process;
mod report;
mod series;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::generator::Text;
use crate::measure::Measure;

/// Measures Session beside the peers that are installed, and prints a Markdown table with the bars.
#[derive(Debug, Parser)]
#[command(version)]
struct Options {
    /// The `session` executable [default: the one beside this program, else the one on PATH]
    #[arg(long, value_name = "PATH")]
    session: Option<PathBuf>,
    /// Only these measures, separated by commas
    #[arg(long, value_name = "MEASURE,…", value_delimiter = ',')]
    only: Vec<Measure>,
    /// How often each program has its turn in create, echo and throughput
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// How many sessions `ls`, memory and wake-ups are measured at; the bars are meant for 500
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=2000))]
    sessions: u32,
    /// How long a client is stopped, and the program watched beside it; what is promised is promised for 60
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(2..=3600))]
    seconds: u32,
    /// Writes all numbers, each sample included, to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    #[command(subcommand)]
    role: Option<Role>,
}

/// What this executable is besides the command itself.
#[derive(Debug, Subcommand)]
enum Role {
    /// The process that measures, below the guard that cleans up after it.
    #[command(name = "__measure", hide = true)]
    Measure { directory: PathBuf },
    /// A program that waits for a byte from a FIFO, then prints.
    #[command(name = "__print", hide = true)]
    Print {
        text: Text,
        bytes: u64,
        go: OsString,
        done: Option<OsString>,
    },
    /// Counts the instructions that a screen costs a byte of output, under callgrind
    Emulator {
        /// How much output
        #[arg(long, value_name = "MIB", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=64))]
        mib: u32,
    },
    /// Output through a screen, for callgrind.
    #[command(name = "__emulate", hide = true)]
    Emulate {
        text: Text,
        way: emulator::Way,
        mib: u32,
    },
    /// A program that prints a lot and paints full screens, then writes a byte to a FIFO.
    #[command(name = "__burst", hide = true)]
    Burst { done: OsString },
}

fn main() -> ExitCode {
    let options = Options::parse();
    let result = match &options.role {
        None => guard::run(&options),
        Some(Role::Measure { directory }) => measure::run(&options, directory),
        Some(Role::Emulator { mib }) => emulator::count(*mib),
        Some(Role::Emulate { text, way, mib }) => {
            emulator::feed(*text, *way, *mib);
            Ok(ExitCode::SUCCESS)
        }
        Some(Role::Print {
            text,
            bytes,
            go,
            done,
        }) => generator::print(*text, *bytes, go, done.as_deref()),
        Some(Role::Burst { done }) => generator::burst(done),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("session-bench: {error}");
            ExitCode::FAILURE
        }
    }
}
