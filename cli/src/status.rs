//! [`Status`] and [`Failure`]: how the program ends.

use std::io;
use std::process::ExitCode;

/// The exit status. Where several apply, the highest is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Status {
    /// All went well.
    Fine = 0,
    /// An answer is not the expected one.
    AnswersDiffer = 1,
    /// Input or usage is wrong. clap ends the program with the same number.
    BadInput = 2,
    /// The matcher and the reference disagree, which is a bug in the library.
    Disagreement = 3,
}

/// Why a command ends before its time.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Standard output was closed by whoever reads it.
    OutputClosed,
    /// Something cannot be read or written, for the reason given.
    BadInput(String),
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> ExitCode {
        ExitCode::from(status as u8)
    }
}

/// The error of a write to standard output.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::OutputClosed,
            _ => Failure::BadInput(format!("cannot write standard output: {error}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_higher_status_wins() {
        let order = [Status::Fine, Status::AnswersDiffer, Status::BadInput, Status::Disagreement];
        assert!(order.is_sorted());
        assert_eq!(order.map(|status| status as u8), [0, 1, 2, 3]);
    }

    #[test]
    fn a_full_disk_is_not_a_closed_pipe() {
        let full = io::Error::from(io::ErrorKind::StorageFull);
        assert!(matches!(Failure::from(full), Failure::BadInput(_)));
        let closed = io::Error::from(io::ErrorKind::BrokenPipe);
        assert!(matches!(Failure::from(closed), Failure::OutputClosed));
    }
}
