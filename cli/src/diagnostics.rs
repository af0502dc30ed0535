//! What is said on standard error.
//!
//! Every message is made [`Printable`] here, whatever input it quotes. That standard error cannot
//! be written is nothing that could be reported, and so is ignored.

use crate::output::{ERROR, HELP, Painted, Printable, WARNING};
use std::fmt;
use std::io::Write;

/// Prints `error: message`.
pub(crate) fn error(message: &str) {
    line(format_args!("{} {}", Painted(ERROR, "error:"), Printable(message)));
}

/// Prints `warning: message`.
pub(crate) fn warning(message: &str) {
    line(format_args!("{} {}", Painted(WARNING, "warning:"), Printable(message)));
}

/// Prints the place that a message was about, in the form in which editors find it.
pub(crate) fn at(name: &str, line_number: u64, column: u64) {
    line(format_args!("  --> {}:{line_number}:{column}", Printable(name)));
}

/// Prints `help: message`.
pub(crate) fn help(message: &str) {
    line(format_args!("{} {}", Painted(HELP, "help:"), Printable(message)));
}

/// Prints `name:line:column: reason`, the form in which editors find the place.
pub(crate) fn bad_line(name: &str, line_number: u64, column: u64, reason: &str) {
    let (name, reason) = (Printable(name), Printable(reason));
    line(format_args!("{name}:{line_number}:{column}: {reason}"));
}

/// Prints lines that are printable already.
pub(crate) fn text(text: &str) {
    // In one piece, since standard error is not buffered.
    let _ = anstream::stderr().lock().write_all(text.as_bytes());
}

fn line(message: fmt::Arguments<'_>) {
    text(&format!("{message}\n"));
}
