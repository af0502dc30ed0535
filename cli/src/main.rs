//! The command line of `flowsieve`: reads arguments, calls the library and prints.
//!
//! | module | what it does |
//! |---|---|
//! | [`args`] | the arguments and their help |
//! | [`check`], [`summary`] | `flowsieve check`: a verdict a flow, and the count of them |
//! | [`explain`], [`sentences`] | `flowsieve explain`: rule by rule, why |
//! | [`lint`], [`snippet`] | `flowsieve lint`: likely mistakes, and how to mend them |
//! | [`test`], [`cases`] | `flowsieve test`: flows with the action that is expected |
//! | [`shadow`], [`diff`] | `flowsieve shadow` and `flowsieve diff`: what is proven of rules |
//! | [`plan`], [`curve`], [`emit`] | `flowsieve plan`: a first stage for the framework |
//! | [`map`] | `flowsieve map`: what happens at every address, as a picture |
//! | [`report`] | the page that shows what a replay found |
//! | [`replay`] | `flowsieve replay`: what became of the flows of logs |
//! | [`import`], [`export`] | `flowsieve import` and `flowsieve export`: lists, and other programs |
//! | [`match_vector`], [`vector`] | `flowsieve match-vector`: test vectors |
//! | [`bench`], [`neutral`] | `flowsieve bench`: speed, and whether the answers are right |
//! | [`pages`] | `flowsieve completions` and `flowsieve man` |
//! | [`flow_reader`], [`settings_file`], [`loaded`], [`input`] | what is read |
//! | [`output`], [`diagnostics`], [`progress`], [`status`] | what is printed, and how the program ends |

mod args;
mod bench;
mod cases;
mod check;
mod curve;
mod diagnostics;
mod diff;
mod emit;
mod explain;
mod export;
mod flow_reader;
mod import;
mod input;
mod lint;
mod loaded;
mod map;
mod match_vector;
mod neutral;
mod output;
mod pages;
mod plan;
mod progress;
mod replay;
mod report;
mod sentences;
mod settings_file;
mod shadow;
mod snippet;
mod status;
mod summary;
mod test;
mod vector;

use crate::args::{Cli, Command};
use crate::status::{Failure, Status};
use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Check(args) => check::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Lint(args) => lint::run(&args),
        Command::Test(args) => test::run(&args),
        Command::Shadow(args) => shadow::run(&args),
        Command::Diff(args) => diff::run(&args),
        Command::Plan(args) => plan::run(&args),
        Command::Map(args) => map::run(&args),
        Command::Replay(args) => replay::run(&args),
        Command::Import(args) => import::run(&args),
        Command::Export(args) => export::run(&args),
        Command::MatchVector(args) => match_vector::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Completions(args) => pages::completions(&args),
        Command::Man(args) => pages::man(&args),
    };
    let status = result.unwrap_or_else(|failure| match failure {
        // Whoever reads standard output has had enough: nothing is wrong.
        Failure::OutputClosed => Status::Fine,
        Failure::BadInput(message) => {
            diagnostics::error(&message);
            Status::BadInput
        }
    });
    status.into()
}
