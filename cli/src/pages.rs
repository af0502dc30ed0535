//! `flowsieve completions` and `flowsieve man`: what is made from the arguments.

use crate::args::{Cli, CompletionsArgs, ManArgs};
use crate::settings_file;
use crate::status::{Failure, Status};
use clap::CommandFactory;
use std::fs;
use std::io::{self, Write};

/// Prints the completion script of a shell.
///
/// # Errors
///
/// That standard output cannot be written.
pub(crate) fn completions(args: &CompletionsArgs) -> Result<Status, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), NAME, &mut script);
    print(&script)
}

/// Prints the manual page of the program, or writes those of all commands into a directory.
///
/// # Errors
///
/// That standard output or the directory cannot be written.
pub(crate) fn man(args: &ManArgs) -> Result<Status, Failure> {
    if let Some(dir) = &args.dir {
        let written =
            fs::create_dir_all(dir).and_then(|()| clap_mangen::generate_to(Cli::command(), dir));
        written.map_err(|error| settings_file::in_file(dir, error))?;
        return Ok(Status::Fine);
    }
    let mut page = Vec::new();
    clap_mangen::Man::new(Cli::command().disable_help_subcommand(true)).render(&mut page)?;
    print(&page)
}

fn print(text: &[u8]) -> Result<Status, Failure> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text)?;
    stdout.flush()?;
    Ok(Status::Fine)
}

const NAME: &str = "flowsieve";
