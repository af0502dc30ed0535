//! The program as it is used: arguments and standard input in; standard output, standard error
//! and exit status out.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod bad_lines;
mod bench;
mod captures;
mod check;
mod diff;
mod explain;
mod export;
mod import;
mod lint;
mod map;
mod match_vector;
mod pages;
mod plan;
mod program;
mod replay;
mod settings;
mod shadow;
mod story;
mod streaming;
mod terminal;
mod test;
